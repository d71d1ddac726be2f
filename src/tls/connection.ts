import { passingCopy } from '../bytes/bytes.ts'
import { AlertDescription, AlertLevel } from './alerts.ts'
import { clientHandshake } from './client/handshake.ts'
import { asTlsError, TlsError } from './errors.ts'
import type { Exporter } from './exporter.ts'
import type { ConnectionHandlers, MessageRewriter } from './handlers.ts'
import { HandshakeContext, messageEvent, type Established, type Handshake } from './handshake.ts'
import { HandshakeDriver } from './handshake-driver.ts'
import { MessageAssembler } from './messages/handshake-message.ts'
import type { ClientOptions, EndpointOptions, ServerOptions } from './options.ts'
import { PostHandshake } from './post-handshake.ts'
import { checkAlertLevel, readAlert } from './received-alert.ts'
import { RecordReader } from './record/reader.ts'
import { RecordWriter } from './record/writer.ts'
import { serverHandshake } from './server/handshake.ts'
import type { Session } from './session.ts'
import type { Direction, Protection, TraceEvent } from './trace.ts'

/** `open` lasts from the end of the handshake until both halves are closed. */
type State = 'idle' | 'handshaking' | 'open' | 'over'

/** A TLS 1.3 connection, sans-I/O: ciphertext in, ciphertext and events out (RFC 8446). */
export class TlsConnection implements Disposable {
  readonly #role: 'client' | 'server'
  readonly #options: EndpointOptions
  readonly #handlers: ConnectionHandlers
  readonly #reader: RecordReader
  readonly #writer: RecordWriter
  readonly #assembler: MessageAssembler
  /** Undefined once the handshake is complete. */
  #context: HandshakeContext | undefined
  /** Once the handshake is complete, if early data was accepted. */
  #earlyExporter: Exporter | undefined
  readonly #driver: HandshakeDriver
  #postHandshake: PostHandshake | undefined
  #session: Session | undefined
  #state: State = 'idle'
  /** Records of the handshake that wait to go out together; undefined when nothing waits. */
  #flight: Uint8Array[] | undefined
  #sentClose = false
  #receivedClose = false
  #sawPeerMessage = false
  #earlyBytes = 0
  /** Whether the transport ended while an answer was awaited. */
  #heldEnd = false

  /** A connection that opens the conversation, once {@link start} is called. @throws TlsError TLS_BAD_OPTIONS on start */
  static client(
    options: ClientOptions,
    handlers: ConnectionHandlers,
    rewrite?: MessageRewriter,
  ): TlsConnection {
    return new TlsConnection(options, handlers, 'client', rewrite, (hs) => clientHandshake(hs, options))
  }

  /** A connection that answers, once {@link start} is called. @throws TlsError TLS_BAD_OPTIONS on start */
  static server(
    options: ServerOptions,
    handlers: ConnectionHandlers,
    rewrite?: MessageRewriter,
  ): TlsConnection {
    return new TlsConnection(options, handlers, 'server', rewrite, (hs) => serverHandshake(hs, options))
  }

  private constructor(
    options: EndpointOptions,
    handlers: ConnectionHandlers,
    role: 'client' | 'server',
    rewrite: MessageRewriter | undefined,
    begin: (hs: HandshakeContext) => Handshake<Established>,
  ) {
    const { crypto, nowMs, keyLog, trace, certificateCompression: compressors = [] } = options
    this.#role = role
    this.#options = options
    this.#handlers = handlers
    this.#assembler = new MessageAssembler(options.maxMessageBytes)
    this.#reader = new RecordReader(crypto, {
      handshake: (fragment, protection) => this.#receiveHandshake(fragment, protection),
      alert: (fragment, protection) => this.#receiveAlert(fragment, protection),
      changeCipherSpec: (fragment) => this.#receiveChangeCipherSpec(fragment),
      applicationData: (plaintext, protection) => this.#receiveData(plaintext, protection),
    })
    this.#writer = new RecordWriter(crypto, role, options, (ciphertext) => this.#deliver(ciphertext))
    const services = {
      crypto,
      reader: this.#reader,
      writer: this.#writer,
      assembler: this.#assembler,
      nowMs,
      keyLog,
      trace,
      compressors,
      rewrite,
    }
    const context = new HandshakeContext(services)
    this.#context = context
    this.#driver = new HandshakeDriver(begin(context), this.#assembler, (goOn) => this.#answered(goOn))
  }

  /** What the handshake settled, once it has. */
  get session(): Session | undefined {
    return this.#session
  }

  /** Begins the handshake; a client sends its ClientHello. @throws TlsError TLS_BAD_OPTIONS, TLS_MISUSE */
  start(): void {
    if (this.#state !== 'idle')
      throw new TlsError('TLS_MISUSE', `start() was called on a connection that is ${this.#state}`)
    this.#state = 'handshaking'
    try {
      this.#driver.start()
    } catch (thrown) {
      this.#end()
      throw thrown
    }
    this.#guard(() => this.#proceed())
  }

  /**
   * Takes bytes from the wire. Whatever a peer sends, this does not throw: failures go to the handlers.
   *
   * @param ciphertext decrypted in place; the array is spent
   * @throws TlsError TLS_MISUSE before {@link start}
   */
  receive(ciphertext: Uint8Array): void {
    if (this.#state === 'idle') throw new TlsError('TLS_MISUSE', 'receive() was called before start()')
    if (this.#state === 'over' || this.#receivedClose) return
    this.#guard(() => this.#reader.receive(ciphertext))
  }

  /** Tells that the transport has ended: without a close_notify before it, that is a failure. */
  receiveEnd(): void {
    if (this.#state === 'over' || this.#receivedClose) return
    if (this.#driver.isWaiting) {
      this.#heldEnd = true
      return
    }
    if (this.#state === 'open') {
      this.#fail(
        new TlsError(
          'TLS_TRUNCATED',
          'The transport ended without close_notify: what came may be incomplete',
        ),
      )
      return
    }
    const reached = this.#sawPeerMessage ? 'in the middle of the handshake' : 'before the peer said anything'
    this.#fail(new TlsError('TLS_HANDSHAKE_TRUNCATED', `The transport ended ${reached}`))
  }

  /**
   * Sends application data.
   *
   * @throws TlsError TLS_MISUSE before the handshake is complete, or after {@link close}
   */
  send(plaintext: Uint8Array): void {
    if (this.#state !== 'open' || this.#sentClose) {
      throw new TlsError(
        'TLS_MISUSE',
        `Data cannot be sent on a connection that is ${this.#sentClose ? 'closed' : this.#state}`,
      )
    }
    for (let rest = plaintext; rest.length > 0;) {
      if (this.#writer.wantsKeyUpdate || this.#postHandshake!.owesKeyUpdate)
        this.updateKeys({ requestPeer: false })
      rest = rest.subarray(this.#writer.applicationData(rest))
      // Whoever took the output may have ended the connection.
      if (this.#isOver) return
    }
  }

  /**
   * Sends data before the peer is known: as a client with the first flight, if a ticket allows it, so that an
   * eavesdropper can replay it; as a server in answer to accepted early data, which may be a replay in turn. Whether
   * the server took a client's early data is in the session's `earlyData`.
   *
   * @returns how many bytes went out; the rest can go once the connection is established
   */
  sendEarly(plaintext: Uint8Array): number {
    const taken = this.#state === 'handshaking' ? this.#context!.takeEarlyData(plaintext.length) : 0
    return taken === 0 ? 0 : this.#writer.applicationData(plaintext.subarray(0, taken))
  }

  /**
   * Keying material bound to this connection (RFC 8446 §7.5).
   *
   * @throws TlsError TLS_MISUSE before the handshake is complete, and once the connection is over
   */
  exportKeyingMaterial(label: string, context: Uint8Array, length: number): Uint8Array {
    if (this.#session === undefined)
      throw new TlsError('TLS_MISUSE', 'Keying material was asked for before the handshake is complete')
    return this.#session.exportKeyingMaterial(label, context, length)
  }

  /**
   * Keying material bound to the ClientHello and the ticket of early data, for uses before the handshake is complete. A
   * replay exports the same (RFC 8446 §8): wherever it need not be so early, the other kind is better.
   *
   * @throws TlsError TLS_MISUSE where no early data may go, or was accepted, and once the connection is over
   */
  exportEarlyKeyingMaterial(label: string, context: Uint8Array, length: number): Uint8Array {
    const exporter = this.#earlyExporter ?? this.#context?.earlyExporter
    if (exporter === undefined)
      throw new TlsError('TLS_MISUSE', 'Early keying material was asked for where no early data goes')
    return exporter.export(label, context, length)
  }

  /** Replaces the key we send under, and asks the peer to do the same if wished. @throws TlsError TLS_MISUSE */
  updateKeys({ requestPeer }: { readonly requestPeer: boolean }): void {
    if (this.#postHandshake === undefined || this.#state !== 'open' || this.#sentClose) {
      throw new TlsError('TLS_MISUSE', 'Keys can be updated only while the connection is open')
    }
    this.#postHandshake.updateWriteKey({ updateRequested: requestPeer })
  }

  /** Ends our half in order; the peer's goes on until it ends it. Calling it again changes nothing. */
  close(): void {
    if (this.#state === 'over' || this.#state === 'idle' || this.#sentClose) return
    this.#sentClose = true
    this.#writer.alert(AlertLevel.warning, AlertDescription.close_notify)
    this.#writer.stop()
    this.#trace({ kind: 'closed', direction: 'sent', atMs: this.#nowMs })
    if (this.#receivedClose || this.#state === 'handshaking') this.#end()
  }

  /** Fails the connection from outside, for instance for a deadline that has passed. */
  fail(error: TlsError): void {
    if (this.#state !== 'over') this.#fail(error)
  }

  /** Frees all keys without a word to the peer. */
  [Symbol.dispose](): void {
    this.#end()
  }

  get #isOver(): boolean {
    return this.#state === 'over'
  }

  get #nowMs(): number {
    return this.#options.nowMs()
  }

  /**
   * Turns whatever is thrown while the peer's bytes are handled into the end of the connection. What a handshake answers
   * to them goes out at once: each delivery may cost a system call, and a packet.
   */
  #guard(act: () => void): void {
    if (this.#state === 'handshaking') this.#flight ??= []
    try {
      act()
    } catch (thrown) {
      if (this.#state !== 'over') this.#fail(asTlsError(thrown))
    }
    this.#release()
  }

  #deliver(ciphertext: Uint8Array): void {
    if (this.#flight === undefined) this.#handlers.output(ciphertext)
    else this.#flight.push(passingCopy(ciphertext))
  }

  /** Lets out what waits, and holds back nothing more. */
  #release(): void {
    const flight = this.#flight
    this.#flight = undefined
    if (flight === undefined || flight.length === 0) return
    this.#handlers.output(flight.length === 1 ? flight[0]! : passingCopy(...flight))
  }

  /** Runs the handshake until it needs a message or an answer that has not come, or is complete. */
  #proceed(): void {
    const established = this.#driver.advance()
    this.#writer.flush()
    if (this.#isOver) return
    if (this.#driver.isWaiting) {
      this.#reader.pause()
      this.#handlers.waiting?.(true)
    }
    if (established !== undefined) this.#establish(established)
  }

  /** Goes on with an answer that was waited for, and with what the peer sent meanwhile. */
  #answered(goOn: () => void): void {
    this.#guard(() => {
      goOn()
      this.#proceed()
      if (this.#driver.isWaiting || this.#isOver) return
      this.#reader.resume()
      // What was held may have made us wait again.
      if (this.#driver.isWaiting || this.#isOver) return
      this.#handlers.waiting?.(false)
      if (this.#heldEnd) this.receiveEnd()
    })
  }

  #establish(established: Established): void {
    this.#state = 'open'
    this.#session = established.session
    this.#settle(established)
    this.#postHandshake = new PostHandshake(
      this.#role,
      this.#options,
      { reader: this.#reader, writer: this.#writer },
      established,
    )
    this.#traceEarlyBytes()
    this.#postHandshake.begin()
    this.#release()
    // Whoever took the tickets may have ended the connection.
    if (this.#isOver) return
    this.#trace({ kind: 'established', atMs: this.#nowMs })
    this.#handlers.established(established.session)
  }

  /** A connection lives on for long after its handshake: what that took goes, and its secrets at once. */
  #settle({ readSecret, writeSecret, resumptionSecret, exporter }: Established): void {
    this.#earlyExporter = this.#context!.earlyExporter
    this.#context!.wipe([readSecret, writeSecret, resumptionSecret, exporter, this.#earlyExporter])
    this.#context = undefined
  }

  #receiveHandshake(fragment: Uint8Array, protection: Protection): void {
    this.#sawPeerMessage = true
    this.#assembler.push(fragment)
    if (this.#driver.isRunning) this.#proceed()
    for (
      let message = this.#takePostHandshake();
      message !== undefined;
      message = this.#takePostHandshake()
    ) {
      this.#options.trace?.(messageEvent('received', message, protection, this.#nowMs))
      this.#postHandshake!.receive(message, this.#assembler.isEmpty)
      this.#writer.flush()
    }
  }

  #takePostHandshake(): ReturnType<MessageAssembler['take']> {
    return this.#postHandshake === undefined || this.#state !== 'open' ? undefined : this.#assembler.take()
  }

  #receiveData(plaintext: Uint8Array, protection: Protection): void {
    this.#refuseInterleaving('application data')
    if (protection === 'early') return this.#receiveEarlyData(plaintext)
    if (this.#postHandshake === undefined) {
      throw new TlsError('TLS_UNEXPECTED_MESSAGE', 'Application data came before the handshake was complete')
    }
    if (plaintext.length === 0) return
    this.#postHandshake.sawApplicationData()
    this.#handlers.data(plaintext)
  }

  #receiveEarlyData(plaintext: Uint8Array): void {
    const { maxBytes } = (this.#options as ServerOptions).earlyData!
    this.#earlyBytes += plaintext.length
    if (this.#earlyBytes > maxBytes) {
      throw new TlsError('TLS_EARLY_DATA_LIMIT', `More than ${maxBytes} bytes of early data came`)
    }
    this.#handlers.earlyData?.(plaintext)
  }

  /** RFC 8446 §5: one byte of value 1, in plaintext, between the first ClientHello and the peer's Finished. */
  #receiveChangeCipherSpec(fragment: Uint8Array): void {
    this.#refuseInterleaving('change_cipher_spec')
    if (this.#state !== 'handshaking' || !this.#sawOrSentHello) {
      throw new TlsError('TLS_UNEXPECTED_MESSAGE', 'change_cipher_spec came outside the handshake')
    }
    if (fragment.length !== 1 || fragment[0] !== 1) {
      throw new TlsError('TLS_UNEXPECTED_MESSAGE', 'change_cipher_spec does not hold the one byte 1')
    }
    this.#trace({ kind: 'change_cipher_spec', direction: 'received', atMs: this.#nowMs })
  }

  /** A server that hands out cookies may meet, before any hello, what the client sends before its second (appendix D.4). */
  get #sawOrSentHello(): boolean {
    return (
      this.#role === 'client' ||
      this.#sawPeerMessage ||
      (this.#options as ServerOptions).cookieKey !== undefined
    )
  }

  #receiveAlert(fragment: Uint8Array, protection: Protection): void {
    const alert = readAlert(fragment)
    const { code, description, isPeaceful } = alert
    this.#trace({ kind: 'alert', direction: 'received', description, protection, atMs: this.#nowMs })
    checkAlertLevel(alert)
    // RFC 8446 §5.1: an alert that does not end everything may not stand between the pieces of a message either.
    if (isPeaceful) this.#refuseInterleaving(description)
    if (code === AlertDescription.user_canceled) return
    if (code === AlertDescription.close_notify) return this.#receiveClose()
    const phase = this.#state === 'open' ? 'the open connection' : 'the handshake'
    throw new TlsError('TLS_PEER_ALERT', `The peer ended ${phase} with the alert ${description}`, {
      received: description,
    })
  }

  #receiveClose(): void {
    if (this.#state !== 'open') {
      throw new TlsError(
        'TLS_HANDSHAKE_TRUNCATED',
        'The peer closed the connection before the handshake was complete',
      )
    }
    this.#receivedClose = true
    this.#reader.stop()
    this.#trace({ kind: 'closed', direction: 'received', atMs: this.#nowMs })
    this.#handlers.peerClosed()
    if (this.#sentClose) this.#end()
  }

  #refuseInterleaving(what: string): void {
    if (this.#assembler.isEmpty) return
    throw new TlsError(
      'TLS_UNEXPECTED_MESSAGE',
      `A handshake message is interrupted by ${what} (RFC 8446 §5.1)`,
    )
  }

  #fail(error: TlsError): void {
    this.#sendFatalAlert(error)
    this.#release()
    if (this.#session === undefined) this.#traceEarlyBytes()
    this.#trace({ kind: 'failed', error, atMs: this.#nowMs })
    this.#end()
    this.#handlers.failed(error)
  }

  #traceEarlyBytes(): void {
    const bytes = this.#earlyBytes
    if (bytes > 0) this.#trace({ kind: 'early_bytes', direction: 'received', bytes, atMs: this.#nowMs })
  }

  #sendFatalAlert({ alert }: TlsError): void {
    if (alert === undefined || this.#sentClose) return
    const protection = this.#writer.protection
    try {
      this.#writer.alert(AlertLevel.fatal, AlertDescription[alert])
    } catch {
      // A write key at its limit seals nothing more; the peer learns from the end of the transport.
      return
    }
    this.#trace({
      kind: 'alert',
      direction: 'sent' satisfies Direction,
      description: alert,
      protection,
      atMs: this.#nowMs,
    })
  }

  /** Ends the life of the connection: the one way to `over`. */
  #end(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#driver.stop()
    this.#reader[Symbol.dispose]()
    this.#writer[Symbol.dispose]()
    this.#context?.wipe()
    this.#earlyExporter?.[Symbol.dispose]()
    this.#postHandshake?.wipe()
  }

  #trace(event: TraceEvent): void {
    this.#options.trace?.(event)
  }
}
