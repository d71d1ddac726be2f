import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { duplexPair } from 'node:stream'
import {
  connect,
  createServer,
  createSecureContext,
  TLSSocket,
  type ConnectionOptions,
  type SecureContext,
  type SecureContextOptions,
} from 'node:tls'
import { encodePem } from '../../src/pki/pem.ts'
import { pemOf, type Minted } from '../../test/support/certificates.ts'
import type { Workloads } from '../../test/support/tls-workloads.ts'
import type { BenchGroup, Handshaker } from './handshaker.ts'

/** By OpenSSL's names. */
const GROUPS: Readonly<Record<BenchGroup, string>> = { x25519: 'X25519', X25519MLKEM768: 'X25519MLKEM768' }

/** What a node:tls side of these benches is made with: the same suite, group and certificates as the engine. */
export interface NodeContexts {
  readonly client: SecureContext
  readonly server: SecureContext
}

export function nodeContexts(workloads: Workloads, group: BenchGroup): NodeContexts {
  const [client, server] = [workloads.client, workloads.server].map((minted) =>
    createSecureContext(contextOptions(workloads, minted, group)),
  )
  return { client: client!, server: server! }
}

function contextOptions({ domain }: Workloads, minted: Minted, group: BenchGroup): SecureContextOptions {
  return {
    ...pemOf(minted),
    ca: encodePem('CERTIFICATE', domain.root.certificate.der),
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256',
    ecdhCurve: GROUPS[group],
    // Without it OpenSSL resumes nothing where clients show certificates.
    sessionIdContext: 'bench',
  }
}

/** SPIFFE IDs are not host names: the chain is verified, and the name is not. */
const VERIFIED = { rejectUnauthorized: true, checkServerIdentity: () => undefined } as const

/** Two sockets of node:tls over a pair of streams. */
export function nodeTlsInMemory(workloads: Workloads, group: BenchGroup): Handshaker {
  const contexts = nodeContexts(workloads, group)
  let ticket: Buffer | undefined
  return {
    async connect(resumed) {
      const pair = nodePair(contexts, resumed ? ticket : undefined)
      if (!resumed) ticket = await pair.ticket
      const { client, server } = await pair.open
      checkSockets(client, server, resumed)
      client.destroy()
      server.destroy()
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

interface NodePair {
  readonly ticket: Promise<Buffer>
  /** Once both have verified each other. */
  readonly open: Promise<{ readonly client: TLSSocket; readonly server: TLSSocket }>
}

export function nodePair(contexts: NodeContexts, session?: Buffer): NodePair {
  const [near, far] = duplexPair()
  const server = new TLSSocket(far, {
    isServer: true,
    secureContext: contexts.server,
    requestCert: true,
    rejectUnauthorized: true,
  })
  const client = connect({ socket: near, ...clientOptions(contexts, session) })
  return {
    ticket: firstTicket(client),
    open: Promise.all([once(client, 'secureConnect'), once(server, 'secure')]).then(() => ({
      client,
      server,
    })),
  }
}

/** node:tls over sockets of the loopback interface. */
export async function nodeTlsOverLoopback(workloads: Workloads, group: BenchGroup): Promise<Handshaker> {
  const contexts = nodeContexts(workloads, group)
  let accepted = Promise.withResolvers<TLSSocket>()
  const server = createServer(
    { ...contextOptions(workloads, workloads.server, group), requestCert: true, noDelay: true },
    (socket) => {
      socket.on('error', () => socket.destroy())
      accepted.resolve(socket)
    },
  )
  server.on('tlsClientError', (error) => accepted.reject(error))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  let ticket: Buffer | undefined
  return {
    async connect(resumed) {
      accepted = Promise.withResolvers()
      const client = connect({
        host: '127.0.0.1',
        port,
        ...clientOptions(contexts, resumed ? ticket : undefined),
      })
      client.setNoDelay(true)
      const opened = once(client, 'secureConnect')
      if (!resumed) ticket = await firstTicket(client)
      const [socket] = await Promise.all([accepted.promise, opened])
      checkSockets(client, socket, resumed)
      client.destroy()
      socket.destroy()
    },
    async [Symbol.asyncDispose]() {
      await once(server.close(), 'close')
    },
  }
}

function clientOptions({ client }: NodeContexts, session: Buffer | undefined): ConnectionOptions {
  return { secureContext: client, ...VERIFIED, ...(session !== undefined && { session }) }
}

/** OpenSSL sends tickets after full handshakes only, and takes one again and again. */
async function firstTicket(client: TLSSocket): Promise<Buffer> {
  const [session] = (await once(client, 'session')) as [Buffer]
  return session
}

/** A bare server socket verifies the chain too, but leaves judging to its owner. */
function checkSockets(client: TLSSocket, server: TLSSocket, resumed: boolean): void {
  if (!client.authorized || server.authorizationError || server.getPeerX509Certificate() === undefined)
    throw new Error('node:tls did not verify the certificates')
  for (const socket of [client, server]) {
    if (socket.isSessionReused() !== resumed)
      throw new Error(`The handshake of node:tls was ${resumed ? 'full' : 'resumed'}`)
    if (socket.getProtocol() !== 'TLSv1.3') throw new Error('node:tls did not speak TLS 1.3')
  }
}
