import { concat } from '../bytes/bytes.ts'
import { formatAddress, type Address } from '../config/address.ts'
import type { HandfastError } from '../errors.ts'
import { TlsError } from '../tls/errors.ts'
import type { Session } from '../tls/session.ts'
import type { TraceEvent } from '../tls/trace.ts'
import type { NetError } from './errors.ts'
import type { Connection, ConnectionHandlers } from './transport.ts'

/** A connection whose bytes travel inside TLS. Its clean end is close_notify; a bare TCP end is an error. */
export interface SecureConnection extends Connection {
  readonly session: Session
  /** On a server: what the client sent before it was known, so that it may be a replay. `data` brings only the rest. */
  readonly earlyData: Uint8Array
  /** On a client: how much of its early data went out. Unless the session says that it was accepted, it is lost. */
  readonly earlyBytesSent: number
  /** Replaces the key we send under and asks the peer to do the same (RFC 8446 §4.6.3), while both halves are open. */
  updateKeys(): void
}

export interface SecureLimits {
  /** The handshake must be complete by then, in milliseconds from now. */
  readonly deadlineMs: number
  /** Told of every failure, in the handshake with its steps up to there, or after it. */
  readonly onFailure?: (error: HandfastError, trace: readonly TraceEvent[]) => void
}

/** How a client begins. */
export interface ClientStart extends SecureLimits {
  /**
   * Goes out with the first flight as far as a ticket lets it, where the engine is to send early data: whoever records
   * it can replay it. @default nothing
   */
  readonly earlyData?: Uint8Array
}

/** What of a TLS engine is used here. */
export interface Engine {
  start(): void
  receive(ciphertext: Uint8Array): void
  receiveEnd(): void
  send(plaintext: Uint8Array): void
  /** Yields how many bytes went out. */
  sendEarly(plaintext: Uint8Array): number
  updateKeys(wish: { readonly requestPeer: boolean }): void
  close(): void
  /** Ends with an alert, and `failed`. */
  fail(error: TlsError): void
  /** Frees the keys without a word. */
  [Symbol.dispose](): void
}

/** What an engine calls; see `ConnectionHandlers` of the engine. */
export interface EngineHandlers {
  /** Valid only during the call. */
  output(ciphertext: Uint8Array): void
  established(session: Session): void
  data(plaintext: Uint8Array): void
  earlyData(plaintext: Uint8Array): void
  peerClosed(): void
  /** Whether the handshake waits for somebody else than the peer. */
  waiting(isWaiting: boolean): void
  failed(error: TlsError): void
}

/** Makes the engine of one connection; it does nothing before `start`. */
export type MakeEngine = (handlers: EngineHandlers, trace: (event: TraceEvent) => void) => Engine

/** A full mutual handshake has some 30 events. */
const MAX_TRACE_EVENTS = 64

/**
 * How long a connection outlives its last TLS record, so that the peer reads our alert or close_notify: closing a
 * socket with unread input makes the kernel send a reset, which destroys what the peer has not read yet.
 */
const LINGER_MS = 1_000

/** Input thrown away meanwhile; a peer that floods us after its connection failed has had its chance to read. */
const MAX_LINGER_BYTES = 1024 * 1024

/**
 * Runs a TLS engine over `connection` until its handshake is complete.
 *
 * @throws TlsError, or NetError when the network failed first
 */
export function runEngine(
  connection: Connection,
  start: ClientStart,
  makeEngine: MakeEngine,
): Promise<SecureConnection> {
  return new Promise((resolve, reject) => {
    new EngineConnection(connection, start, { resolve, reject }).run(makeEngine, start.earlyData)
  })
}

interface Outcome {
  readonly resolve: (connection: SecureConnection) => void
  readonly reject: (error: HandfastError) => void
}

/** `over` means that the engine has spoken its last word; the transport may still be closing. */
type Phase = 'handshake' | 'open' | 'over'

/** What happened before the user attached, in order. */
type Waiting =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'closed'; readonly error: HandfastError | undefined }

/** What {@link FromEngine} and {@link FromTransport} call is public in this file only: others see a {@link SecureConnection}. */
class EngineConnection implements SecureConnection {
  readonly local: Address
  readonly remote: Address
  readonly #transport: Connection
  readonly #limits: SecureLimits
  readonly #outcome: Outcome
  readonly #trace: TraceEvent[] = []
  readonly #deadline: NodeJS.Timeout
  #engine!: Engine
  #phase: Phase = 'handshake'
  #session: Session | undefined
  #earlyBytesSent = 0
  readonly #earlyData: Uint8Array[] = []
  #handlers: ConnectionHandlers | undefined
  #waiting: Waiting[] | undefined = []
  #writable = true
  #paused = false
  #ended = false
  #peerEnded = false
  #aborted = false
  #reported = false
  #lingerTimer: NodeJS.Timeout | undefined
  #lingeredBytes = 0

  constructor(transport: Connection, limits: SecureLimits, outcome: Outcome) {
    this.#transport = transport
    this.local = transport.local
    this.remote = transport.remote
    this.#limits = limits
    this.#outcome = outcome
    this.#deadline = setTimeout(() => this.#late(), limits.deadlineMs)
  }

  run(makeEngine: MakeEngine, earlyData: Uint8Array | undefined): void {
    try {
      this.#engine = makeEngine(new FromEngine(this), (event) => this.#record(event))
      this.#engine.start()
      if (earlyData !== undefined) this.#earlyBytesSent = this.#engine.sendEarly(earlyData)
    } catch (thrown) {
      this.#phase = 'over'
      clearTimeout(this.#deadline)
      this.#transport.abort()
      this.#outcome.reject(thrown as HandfastError)
      return
    }
    this.#transport.attach(new FromTransport(this))
  }

  /** @throws TlsError TLS_MISUSE before the handshake is complete, which no user of {@link runEngine} ever sees */
  get session(): Session {
    if (this.#session === undefined) throw new TlsError('TLS_MISUSE', 'The handshake is not complete')
    return this.#session
  }

  get earlyData(): Uint8Array {
    return concat(...this.#earlyData)
  }

  get earlyBytesSent(): number {
    return this.#earlyBytesSent
  }

  updateKeys(): void {
    if (this.#phase === 'open' && !this.#ended) this.#engine.updateKeys({ requestPeer: true })
  }

  attach(handlers: ConnectionHandlers): void {
    this.#handlers = handlers
    queueMicrotask(() => this.#catchUp(handlers))
  }

  write(bytes: Uint8Array): boolean {
    if (this.#phase !== 'open') return true
    this.#engine.send(bytes)
    return this.#writable
  }

  pause(): void {
    this.#paused = true
    this.#transport.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#waiting === undefined) this.#transport.resume()
  }

  end(): void {
    if (this.#phase !== 'open' || this.#ended) return
    this.#engine.close()
    this.#ended = true
    if (this.#peerEnded) this.#finish()
    else this.#transport.end()
  }

  abort(): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#over()
    this.#engine[Symbol.dispose]()
    this.#transport.abort()
  }

  /** After close_notify nothing more may be said, not even an alert (RFC 8446 §6.1). */
  sendCiphertext(ciphertext: Uint8Array): void {
    if (!this.#ended && !this.#aborted) this.#writable = this.#transport.write(ciphertext)
  }

  open(session: Session): void {
    clearTimeout(this.#deadline)
    this.#phase = 'open'
    // Its events hold messages and certificates, which a connection of hours need not keep.
    this.#trace.length = 0
    this.#session = session
    // Nobody listens yet: let TCP hold what comes, beyond what is already here.
    this.#transport.pause()
    this.#outcome.resolve(this)
  }

  deliver(plaintext: Uint8Array): void {
    if (this.#phase !== 'open') return
    if (this.#waiting === undefined) this.#handlers!.data(plaintext)
    else this.#waiting.push({ kind: 'data', bytes: plaintext.slice() })
  }

  keepEarlyData(plaintext: Uint8Array): void {
    this.#earlyData.push(plaintext.slice())
  }

  peerClosed(): void {
    if (this.#phase !== 'open') return
    this.#peerEnded = true
    if (this.#waiting === undefined) this.#handlers!.end()
    else this.#waiting.push({ kind: 'end' })
    if (this.#ended) this.#finish()
  }

  /** Whatever is decided elsewhere about an open connection stands. */
  engineWaits(isWaiting: boolean): void {
    if (this.#phase !== 'handshake') return
    if (isWaiting) this.#transport.pause()
    else this.#transport.resume()
  }

  receive(bytes: Uint8Array): void {
    if (this.#phase === 'over') this.#discard(bytes.length)
    else this.#engine.receive(bytes)
  }

  receiveEnd(): void {
    if (this.#phase !== 'over') this.#engine.receiveEnd()
  }

  drained(): void {
    this.#writable = true
    if (this.#phase === 'open') this.#handlers?.drain()
  }

  /** Tells whoever has just attached what it missed. */
  #catchUp(handlers: ConnectionHandlers): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const event of waiting) {
      if (this.#aborted && event.kind !== 'closed') continue
      if (event.kind === 'data') handlers.data(event.bytes)
      else if (event.kind === 'end') handlers.end()
      else handlers.closed(event.error)
    }
    if (!this.#paused) this.#transport.resume()
  }

  /** Both halves have ended by close_notify; TCP follows. */
  #finish(): void {
    // Whoever answers the peer's end with their own from inside `end` comes here twice.
    if (this.#phase === 'over') return
    this.#over()
    this.#engine[Symbol.dispose]()
    this.#linger()
  }

  #late(): void {
    const { deadlineMs } = this.#limits
    const peer = formatAddress(this.remote)
    this.#engine.fail(
      new TlsError(
        'TLS_HANDSHAKE_TIMEOUT',
        `The handshake with ${peer} was not complete after ${deadlineMs} ms`,
      ),
    )
  }

  /** The engine has sent its alert: let the peer have it before the connection goes away. */
  fail(error: TlsError): void {
    if (this.#phase === 'over') return
    const inHandshake = this.#phase === 'handshake'
    this.#over()
    this.#limits.onFailure?.(error, this.#trace)
    this.#linger()
    if (inHandshake) this.#outcome.reject(error)
    else this.#report(error)
  }

  #linger(): void {
    this.#transport.end()
    this.#transport.resume()
    this.#lingerTimer = setTimeout(() => this.#transport.abort(), LINGER_MS)
  }

  #discard(bytes: number): void {
    this.#lingeredBytes += bytes
    if (this.#lingeredBytes > MAX_LINGER_BYTES) this.#transport.abort()
  }

  transportClosed(error: NetError | undefined): void {
    clearTimeout(this.#lingerTimer)
    if (this.#phase === 'over') {
      this.#report(undefined)
      return
    }
    const inHandshake = this.#phase === 'handshake'
    this.#over()
    this.#engine[Symbol.dispose]()
    const reason = error ?? new TlsError('TLS_HANDSHAKE_TRUNCATED', 'The connection closed in the handshake')
    if (error !== undefined || inHandshake) this.#limits.onFailure?.(reason, this.#trace)
    if (inHandshake) this.#outcome.reject(reason)
    else this.#report(error)
  }

  #over(): void {
    this.#phase = 'over'
    clearTimeout(this.#deadline)
  }

  #report(error: HandfastError | undefined): void {
    if (this.#reported || this.#session === undefined) return
    this.#reported = true
    if (this.#waiting === undefined) this.#handlers!.closed(error)
    else this.#waiting.push({ kind: 'closed', error })
  }

  #record(event: TraceEvent): void {
    if (this.#phase === 'handshake' && this.#trace.length < MAX_TRACE_EVENTS) this.#trace.push(event)
  }
}

/** What an engine tells its connection. Not closures, of which each connection at rest would keep a dozen. */
class FromEngine implements EngineHandlers {
  readonly #connection: EngineConnection

  constructor(connection: EngineConnection) {
    this.#connection = connection
  }

  output(ciphertext: Uint8Array): void {
    this.#connection.sendCiphertext(ciphertext)
  }

  established(session: Session): void {
    this.#connection.open(session)
  }

  data(plaintext: Uint8Array): void {
    this.#connection.deliver(plaintext)
  }

  earlyData(plaintext: Uint8Array): void {
    this.#connection.keepEarlyData(plaintext)
  }

  peerClosed(): void {
    this.#connection.peerClosed()
  }

  waiting(isWaiting: boolean): void {
    this.#connection.engineWaits(isWaiting)
  }

  failed(error: TlsError): void {
    this.#connection.fail(error)
  }
}

/** What the transport tells it. */
class FromTransport implements ConnectionHandlers {
  readonly #connection: EngineConnection

  constructor(connection: EngineConnection) {
    this.#connection = connection
  }

  data(bytes: Uint8Array): void {
    this.#connection.receive(bytes)
  }

  end(): void {
    this.#connection.receiveEnd()
  }

  drain(): void {
    this.#connection.drained()
  }

  closed(error?: HandfastError): void {
    this.#connection.transportClosed(error as NetError | undefined)
  }
}
