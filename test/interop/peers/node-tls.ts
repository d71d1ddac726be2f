import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { connect, createServer, type SecureContextOptions, type TLSSocket } from 'node:tls'
import type { GroupName } from '../../../src/crypto/provider.ts'
import type { MeshFiles } from '../../cmd/tls-files.ts'
import type { FeatureClient, FeaturePeer, FeatureServer } from '../features.ts'
import { spiffeIdIn, type Cell, type PeerView } from '../matrix.ts'
import { opensslGroup } from './openssl.ts'

export const NODE: { readonly path: string; readonly version: string } = {
  path: process.execPath,
  version: `${process.versions.node} (OpenSSL ${process.versions.openssl})`,
}

/** This Node brings an OpenSSL of 3.5 or later. */
export const NODE_GROUPS: readonly GroupName[] = ['x25519', 'secp256r1', 'secp384r1', 'X25519MLKEM768']

type CommonOptions = SecureContextOptions & { readonly rejectUnauthorized: true }

/** TLS 1.3 with mutual verification; with the suite and group of a cell and no others, where one is given. */
export function optionsOf(
  cell: Cell | undefined,
  { ca }: MeshFiles,
  [, cert, , key]: MeshFiles['web'],
): CommonOptions {
  return {
    ca: readFileSync(ca),
    cert: readFileSync(cert),
    key: readFileSync(key),
    minVersion: 'TLSv1.3',
    rejectUnauthorized: true,
    ecdhCurve: (cell === undefined ? NODE_GROUPS : [cell.group]).map(opensslGroup).join(':'),
    ...(cell === undefined ? {} : { ciphers: cell.suite }),
  }
}

export function viewOf(socket: TLSSocket): PeerView {
  const identity = spiffeIdIn(socket.getPeerCertificate().subjectaltname ?? '')
  return {
    suite: socket.getCipher().name,
    isResumed: socket.isSessionReused(),
    ...(identity === undefined ? {} : { identity }),
  }
}

const UNSUPPORTED = {
  '0-RTT': 'node:tls has no call for 0-RTT',
  'its KeyUpdate': 'node:tls has no call to renew keys',
} as const

const CLIENT: FeatureClient = {
  role: 'client',
  name: 'node:tls',
  program: NODE,
  unsupported: UNSUPPORTED,
  prepare(_t, files) {
    let kept: Buffer | undefined
    return async (t, feature, port) => {
      // It sends a share of the first.
      const groups = (['X25519MLKEM768', 'x25519', 'secp384r1'] as const).map(opensslGroup).join(':')
      const options = { ...optionsOf(undefined, files, files.web), ecdhCurve: groups }
      const session = feature === 'resumed' && kept !== undefined ? { session: kept } : {}
      const socket = connect({ ...options, ...session, port, host: '127.0.0.1', servername: 'localhost' })
      t.after(() => socket.destroy())
      socket.on('session', (session) => (kept = session))
      await once(socket, 'secureConnect')
      const view = viewOf(socket)
      for (const word of ['one', 'two']) {
        const echoed = once(socket, 'data')
        socket.write(word)
        const [bytes] = (await echoed) as [Buffer]
        if (bytes.toString() !== word) throw new Error(`Came back: ${bytes.toString()}`)
      }
      socket.end()
      await once(socket, 'close')
      return view
    }
  },
}

const SERVER: FeatureServer = {
  role: 'server',
  name: 'node:tls',
  program: NODE,
  unsupported: UNSUPPORTED,
  async prepare(t, files) {
    const start = async (
      groups: readonly GroupName[],
    ): Promise<{ readonly port: number; readonly next: () => Promise<PeerView> }> => {
      const options = {
        ...optionsOf(undefined, files, files.catalog),
        ecdhCurve: groups.map(opensslGroup).join(':'),
        requestCert: true,
        // Who shows no certificate may come in; what is shown is verified below.
        rejectUnauthorized: false,
      }
      let told = Promise.withResolvers<PeerView>()
      const server = createServer(options, (socket) => {
        const { resolve, reject } = told
        const view = viewOf(socket)
        if (view.identity !== undefined && !socket.authorized) reject(socket.authorizationError)
        createInterface({ input: socket }).on('line', (line) => socket.write(`${line}\n`))
        socket.once('error', reject)
        socket.once('end', () => {
          socket.end()
          resolve(view)
        })
      })
      t.after(() => server.close())
      server.on('tlsClientError', (error) => told.reject(error)).listen(0, '127.0.0.1')
      await once(server, 'listening')
      return {
        port: (server.address() as AddressInfo).port,
        next: () => {
          told = Promise.withResolvers()
          return told.promise
        },
      }
    }
    const [usual, other] = await Promise.all([
      start(['X25519MLKEM768', 'x25519', 'secp256r1']),
      start(['secp256r1']),
    ])
    return (_t, feature) => {
      const { port, next } = feature === 'HelloRetryRequest' ? other : usual
      const view = next()
      return Promise.resolve({
        port,
        exchanges: [
          { request: 'one\n', answer: /^one\n$/ },
          { request: 'two\n', answer: /^one\ntwo\n$/ },
        ],
        view: () => view,
      })
    }
  },
}

export const NODE_ROWS: readonly FeaturePeer[] = [CLIENT, SERVER]
