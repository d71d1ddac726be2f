import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import test from 'node:test'
import { connect, createServer, type SecureContextOptions, type TLSSocket } from 'node:tls'
import type { GroupName } from '../../src/crypto/provider.ts'
import { meshFiles, type MeshFiles } from '../cmd/tls-files.ts'
import { spiffeIdIn, testConnect, testServe, type Cell, type PeerView } from './matrix.ts'
import { opensslGroup } from './peers/openssl.ts'
import { serveOnce } from './tools.ts'

const NODE = {
  path: process.execPath,
  version: `${process.versions.node} (OpenSSL ${process.versions.openssl})`,
}

type CommonOptions = SecureContextOptions & { readonly rejectUnauthorized: true }

/** Thousands of records, and far more than any buffer on the way. */
const MEGABYTES = 16

/** This Node brings an OpenSSL of 3.5 or later. */
const GROUPS: readonly GroupName[] = ['x25519', 'secp256r1', 'secp384r1', 'X25519MLKEM768']

testServe({
  name: 'node:tls',
  program: NODE,
  groups: GROUPS,
  choosesCell: true,
  prepare: (_t, files) => async (_t, cell, port) => {
    const options = optionsOf(cell, files, files.web)
    const socket = connect({ ...options, port, host: '127.0.0.1', servername: 'localhost' })
    await once(socket, 'secureConnect')
    const view = viewOf(socket)
    socket.end('said by Node')
    const echoed = await text(socket)
    if (echoed !== 'said by Node') throw new Error(`Came back: ${echoed}`)
    return view
  },
})

testConnect({
  name: 'node:tls',
  program: NODE,
  groups: GROUPS,
  choosesCell: false,
  prepare: (_t, files) => async (t) => {
    const { promise, resolve, reject } = Promise.withResolvers<PeerView>()
    const server = createServer(
      { ...optionsOf(undefined, files, files.catalog), requestCert: true },
      (socket) => {
        const view = viewOf(socket)
        socket.once('error', reject).pipe(socket)
        socket.once('end', () => resolve(view))
      },
    )
    t.after(() => server.close())
    server.once('tlsClientError', reject).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return {
      port: (server.address() as AddressInfo).port,
      request: 'said to Node\n',
      answer: /^said to Node\n$/,
      view: () => promise,
    }
  },
})

test('tls serve and node:tls carry megabytes both ways at once, unchanged', async (t) => {
  const files = await meshFiles(t)
  const server = await serveOnce(t, files.catalog, ['--ca', files.ca, '--require-client-cert'])
  const options = optionsOf(undefined, files, files.web)
  const socket = connect({ ...options, port: server.port, host: '127.0.0.1', servername: 'localhost' })
  t.after(() => socket.destroy())
  const sent = randomBytes(MEGABYTES * 2 ** 20)
  socket.end(sent)
  const received = await buffer(socket)
  assert.ok(received.equals(sent), `${received.length} bytes came back of ${sent.length}`)
  const { code, stderr } = await server.process.ended()
  assert.equal(code, 0, stderr)
  assert.match(stderr, new RegExp(`closed; bytes echoed: ${sent.length}$`, 'm'))
})

/** TLS 1.3 with mutual verification; with the suite and group of a cell and no others, where one is given. */
function optionsOf(
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
    ecdhCurve: (cell === undefined ? GROUPS : [cell.group]).map(opensslGroup).join(':'),
    ...(cell === undefined ? {} : { ciphers: cell.suite }),
  }
}

function viewOf(socket: TLSSocket): PeerView {
  const identity = spiffeIdIn(socket.getPeerCertificate().subjectaltname ?? '')
  return { suite: socket.getCipher().name, ...(identity === undefined ? {} : { identity }) }
}
