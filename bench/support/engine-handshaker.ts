import { passingCopy } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { SecureConnection } from '../../src/net/engine-connection.ts'
import { secureClient, secureServer } from '../../src/net/secure-connection.ts'
import { CertificateMemory } from '../../src/pki/certificate-memory.ts'
import type { Connection, Transport } from '../../src/net/transport.ts'
import { TlsConnection } from '../../src/tls/connection.ts'
import type { ConnectionHandlers } from '../../src/tls/handlers.ts'
import type { ClientOptions, ServerOptions } from '../../src/tls/options.ts'
import type { Session } from '../../src/tls/session.ts'
import { clientTickets } from '../../src/tls/session/client-tickets.ts'
import { makeTicketKey, sealedTickets } from '../../src/tls/session/sealed-tickets.ts'
import type { ClientTicket, ClientTicketStore } from '../../src/tls/session/resumption.ts'
import { verifierFor, type Workloads } from '../../test/support/tls-workloads.ts'
import type { BenchGroup, Handshaker } from './handshaker.ts'

const LIMITS = { deadlineMs: 10_000 }

/** What both sides of the engine are given, as a proxy would. */
class EngineOptions {
  readonly server: ServerOptions
  readonly #client: Omit<ClientOptions, 'tickets'>
  #tickets = clientTickets()

  constructor(workloads: Workloads, group: BenchGroup) {
    const crypto = nativeCrypto()
    const certificates = new CertificateMemory()
    const common = { crypto, nowMs: Date.now, groups: [group], certificates }
    const verifier = verifierFor(workloads, crypto, certificates)
    const keys = { current: makeTicketKey(crypto) }
    this.#client = { ...common, verifier, credential: workloads.client }
    this.server = {
      ...common,
      clientVerifier: verifier,
      credential: () => workloads.server,
      tickets: { store: sealedTickets(crypto, () => keys, certificates) },
    }
  }

  /** @param kept told of each ticket that the client has put by */
  client(resumed: boolean, kept: (ticket: ClientTicket) => void = () => undefined): ClientOptions {
    if (!resumed) this.#tickets = clientTickets()
    const store = this.#tickets
    const tickets: ClientTicketStore = {
      take: (nowMs) => store.take(nowMs),
      put: (ticket) => {
        store.put(ticket)
        kept(ticket)
      },
    }
    return { ...this.#client, tickets }
  }
}

/** Two engines back to back: as bare as it can be run, no sockets, no trace, bytes handed over as they come. */
export function engineInMemory(workloads: Workloads, group: BenchGroup): Handshaker {
  const options = new EngineOptions(workloads, group)
  return {
    connect(resumed) {
      let tickets = 0
      const pair = new EnginePair(
        options.client(resumed, () => tickets++),
        options.server,
      )
      checkSessions([pair.client.session, pair.server.session], resumed)
      if (tickets === 0) throw new Error('The engine issued no ticket')
      pair[Symbol.dispose]()
      return Promise.resolve()
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** Two engines back to back, connected. */
export class EnginePair implements Disposable {
  readonly client: TlsConnection
  readonly server: TlsConnection
  readonly #toServer: Uint8Array[] = []
  readonly #toClient: Uint8Array[] = []
  receivedBytes = 0

  constructor(client: ClientOptions, server: ServerOptions) {
    this.client = TlsConnection.client(client, this.#handlers(this.#toServer))
    this.server = TlsConnection.server(server, this.#handlers(this.#toClient))
    this.server.start()
    this.client.start()
    this.pump()
  }

  /** Carries bytes until there are none. */
  pump(): void {
    while (this.#toServer.length + this.#toClient.length > 0) {
      for (const bytes of this.#toServer.splice(0)) this.server.receive(bytes)
      for (const bytes of this.#toClient.splice(0)) this.client.receive(bytes)
    }
  }

  [Symbol.dispose](): void {
    this.client[Symbol.dispose]()
    this.server[Symbol.dispose]()
  }

  #handlers(outgoing: Uint8Array[]): ConnectionHandlers {
    return {
      output: (bytes) => outgoing.push(passingCopy(bytes)),
      established: () => undefined,
      data: ({ length }) => (this.receivedBytes += length),
      peerClosed: () => undefined,
      failed: (error) => {
        throw error
      },
    }
  }
}

/** The engine over sockets of the loopback interface, through the layers that the proxy uses. */
export async function engineOverLoopback(
  workloads: Workloads,
  group: BenchGroup,
  transport: Transport,
): Promise<Handshaker> {
  const options = new EngineOptions(workloads, group)
  let accepted = Promise.withResolvers<SecureConnection>()
  const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, (raw) => {
    void accept(raw).then(accepted.resolve, accepted.reject)
  })
  async function accept(raw: Connection): Promise<SecureConnection> {
    const connection = await secureServer(raw, options.server, LIMITS)
    connection.attach(NO_HANDLERS)
    return connection
  }
  return {
    async connect(resumed) {
      accepted = Promise.withResolvers()
      const ticket = Promise.withResolvers<ClientTicket>()
      const raw = await transport.connect(listener.address, { timeoutMs: LIMITS.deadlineMs })
      const client = await secureClient(raw, options.client(resumed, ticket.resolve), LIMITS)
      client.attach(NO_HANDLERS)
      const [server] = await Promise.all([accepted.promise, ticket.promise])
      checkSessions([client.session, server.session], resumed)
      client.abort()
      server.abort()
    },
    [Symbol.asyncDispose]: () => listener.close(),
  }
}

function checkSessions(sessions: readonly (Session | undefined)[], resumed: boolean): void {
  for (const session of sessions) {
    if (session?.peer === undefined) throw new Error('The engine has verified nobody')
    if (session.resumed !== resumed)
      throw new Error(`The engine's handshake was ${resumed ? 'full' : 'resumed'}`)
  }
}

/** Whoever measures handshakes sends nothing. */
const NO_HANDLERS = { data: ignore, end: ignore, drain: ignore, closed: ignore }

function ignore(): void {}
