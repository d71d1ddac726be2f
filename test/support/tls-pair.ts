/** Two engines back to back in memory, and what each of them told its handlers. */
import { concat } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import { TlsConnection } from '../../src/tls/connection.ts'
import type { ConnectionHandlers, MessageRewriter } from '../../src/tls/handlers.ts'
import type { TlsError } from '../../src/tls/errors.ts'
import type { ClientOptions, ServerOptions } from '../../src/tls/options.ts'
import type { Session } from '../../src/tls/session.ts'
import type { TraceEvent } from '../../src/tls/trace.ts'
import { NOW_MS, verifierFor, type Workloads } from './tls-workloads.ts'

export type Role = 'client' | 'server'

/** One side: its engine, and everything that came out of it. */
export class TlsEnd {
  readonly connection: TlsConnection
  /** The calls of the handlers in their order; a failure with its code, data with its length. */
  readonly calls: string[] = []
  readonly trace: TraceEvent[] = []
  readonly keyLog: string[] = []
  session: Session | undefined
  error: TlsError | undefined
  #output: Uint8Array[] = []
  #data: Uint8Array[] = []

  constructor(create: (end: TlsEnd, handlers: ConnectionHandlers) => TlsConnection) {
    this.connection = create(this, {
      output: (ciphertext) => this.#output.push(ciphertext.slice()),
      established: (session) => {
        this.session = session
        this.calls.push('established')
      },
      data: (plaintext) => {
        this.#data.push(plaintext.slice())
        this.calls.push(`data ${plaintext.length}`)
      },
      peerClosed: () => this.calls.push('peerClosed'),
      failed: (error) => {
        this.error = error
        this.calls.push(`failed ${error.code}`)
      },
    })
  }

  /** What went out since the last call. */
  take(): Uint8Array<ArrayBuffer> {
    const all = concat(...this.#output)
    this.#output = []
    return all
  }

  /** All application data so far. */
  get received(): Uint8Array {
    return concat(...this.#data)
  }

  /** The secret that the key log names. */
  secret(label: string): Uint8Array {
    const line = this.keyLog.find((candidate) => candidate.startsWith(`${label} `))
    if (line === undefined) throw new Error(`The key log has no ${label}`)
    return Uint8Array.fromHex(line.split(' ')[2]!)
  }
}

export interface TlsPairOptions {
  readonly client?: Partial<ClientOptions>
  readonly server?: Partial<ServerOptions>
  /** Of both sides, unless their options say otherwise. @default native */
  readonly crypto?: CryptoProvider
  /** Keeps no trace: for rewriters whose messages are none. @default false */
  readonly untraced?: boolean
  /** Changes what the client sends, before it enters the client's transcript. */
  readonly rewriteClient?: MessageRewriter
  /** Changes what the server sends, before it enters the server's transcript. */
  readonly rewriteServer?: MessageRewriter
}

/** What the wire makes of what one side sent: the pieces that arrive, in order. */
export type Wire = (from: Role, bytes: Uint8Array<ArrayBuffer>) => readonly Uint8Array[]

/** A well-behaved handshake takes six turns; whoever needs more goes round in circles. */
const MAX_TURNS = 64

export class TlsPair {
  readonly client: TlsEnd
  readonly server: TlsEnd

  /** Mutual authentication between the two workloads, unless told otherwise; nothing is started. */
  constructor(workloads: Workloads, options: TlsPairOptions = {}) {
    const { crypto = nativeCrypto(), untraced = false, rewriteClient, rewriteServer } = options
    this.client = new TlsEnd((end, handlers) => {
      const own = options.client?.crypto ?? crypto
      const defaults = {
        ...recording(end, own, untraced),
        verifier: verifierFor(workloads, own),
        credential: workloads.client,
      }
      return TlsConnection.client({ ...defaults, ...options.client }, handlers, rewriteClient)
    })
    this.server = new TlsEnd((end, handlers) => {
      const own = options.server?.crypto ?? crypto
      const defaults = {
        ...recording(end, own, untraced),
        clientVerifier: verifierFor(workloads, own),
        credential: () => workloads.server,
      }
      return TlsConnection.server({ ...defaults, ...options.server }, handlers, rewriteServer)
    })
  }

  get ends(): readonly [TlsEnd, TlsEnd] {
    return [this.client, this.server]
  }

  start(): this {
    this.server.connection.start()
    this.client.connection.start()
    return this
  }

  /** Carries bytes both ways until there are none. */
  pump(wire: Wire = (_from, bytes) => [bytes]): this {
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      const [fromClient, fromServer] = [this.client.take(), this.server.take()]
      if (fromClient.length + fromServer.length === 0) return this
      deliver(this.server, fromClient.length === 0 ? [] : wire('client', fromClient))
      deliver(this.client, fromServer.length === 0 ? [] : wire('server', fromServer))
    }
    throw new Error('The two sides do not come to rest')
  }

  /** Starts, and carries bytes until there are none. */
  run(wire?: Wire): this {
    return this.start().pump(wire)
  }

  /** Frees the keys of both sides. */
  [Symbol.dispose](): void {
    for (const { connection } of this.ends) connection[Symbol.dispose]()
  }
}

function deliver({ connection }: TlsEnd, pieces: readonly Uint8Array[]): void {
  for (const piece of pieces) connection.receive(piece)
}

function recording(
  end: TlsEnd,
  crypto: CryptoProvider,
  untraced: boolean,
): Pick<ClientOptions, 'crypto' | 'nowMs' | 'keyLog' | 'trace'> {
  return {
    crypto,
    nowMs: () => NOW_MS,
    keyLog: (line) => end.keyLog.push(line),
    ...(untraced ? {} : { trace: (event) => end.trace.push(event) }),
  }
}
