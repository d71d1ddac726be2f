/** What both sides of a handshake stand on: requests to the outside, messages, keys and the trace. */
import type { CryptoProvider } from '../crypto/provider.ts'
import type { CertificateCompressor } from './certificate-compression.ts'
import { describeMessage } from './describe.ts'
import { TlsError } from './errors.ts'
import { asMessage, type HandshakeMessage, type MessageAssembler } from './messages/handshake-message.ts'
import type { Eventually } from './eventually.ts'
import type { Exporter } from './exporter.ts'
import type { RecordReader } from './record/reader.ts'
import type { RecordWriter } from './record/writer.ts'
import { HandshakeType, nameOf, type CipherSuiteParameters, type HandshakeTypeName } from './registry.ts'
import type { Session } from './session.ts'
import { Transcript } from './transcript.ts'
import type { Direction, Protection, TraceEvent } from './trace.ts'

/** What a handshake must be given before it can go on. */
export type HandshakeRequest =
  | { readonly kind: 'message' }
  | { readonly kind: 'promise'; readonly promise: Promise<unknown> }

/** A handshake in progress: a procedure that pauses at each {@link HandshakeRequest}. */
export type Handshake<Result> = Generator<HandshakeRequest, Result, unknown>

/** What the outside has answered; pauses only when it answers later. Throws what a promise is rejected with. */
export function* settled<Value>(answer: Eventually<Value>): Handshake<Value> {
  return answer instanceof Promise ? ((yield { kind: 'promise', promise: answer }) as Value) : answer
}

/** What a completed handshake hands over to the connection. */
export interface Established {
  readonly session: Session
  readonly suite: CipherSuiteParameters
  readonly readSecret: Uint8Array
  readonly writeSecret: Uint8Array
  readonly exporter: Exporter
  /** What tickets are made from. */
  readonly resumptionSecret: Uint8Array
  /** Whether the client wants tickets that the engine can honour. */
  readonly offeredResumption: boolean
  /** Set with `session.externalPsk`. */
  readonly externalPskTag: Uint8Array | undefined
}

export interface HandshakeServices {
  readonly crypto: CryptoProvider
  readonly reader: RecordReader
  readonly writer: RecordWriter
  readonly assembler: MessageAssembler
  readonly nowMs: () => number
  readonly keyLog?: ((line: string) => void) | undefined
  readonly trace?: ((event: TraceEvent) => void) | undefined
  /** Those that were offered: a trace shows what they restore. */
  readonly compressors: readonly CertificateCompressor[]
  readonly rewrite?: ((message: Uint8Array) => Uint8Array) | undefined
}

/** A flight fills one to four such blocks: the chains of one issuer differ by less, and at most one block is in vain. */
const ECH_PADDING_BLOCK_BYTES = 1024

/** The hands of a handshake procedure: sends and awaits messages, changes keys, reports each step. */
export class HandshakeContext {
  readonly crypto: CryptoProvider
  /** The messages that count. */
  transcript: Transcript
  /** Set while early data may go, or once it was accepted. */
  earlyExporter: Exporter | undefined
  readonly #services: HandshakeServices
  #owned: (Uint8Array | Disposable)[] = []
  #earlyDataLeft: number | undefined
  #earlyBytesTaken = 0
  #sentChangeCipherSpec = false

  constructor(services: HandshakeServices) {
    this.crypto = services.crypto
    this.transcript = new Transcript(services.crypto)
    this.#services = services
  }

  get nowMs(): number {
    return this.#services.nowMs()
  }

  /**
   * Queues a message and enters it, or the one that it stands for, into the transcript. Returns what goes out, which a
   * rewriting test may have changed.
   */
  send(message: Uint8Array, counted?: Uint8Array): HandshakeMessage {
    const { writer, rewrite } = this.#services
    const sent = asMessage(rewrite?.(message) ?? message)
    this.transcript.add(counted ?? sent.bytes)
    writer.queueHandshake(sent.bytes)
    this.#traceMessage('sent', sent, writer.protection)
    return sent
  }

  /** Waits for one of `types`, and enters it into the transcript. @throws TlsError TLS_UNEXPECTED_MESSAGE */
  *expect(...types: readonly HandshakeType[]): Handshake<HandshakeMessage> {
    const message = yield* this.receive(...types)
    this.transcript.add(message.bytes)
    return message
  }

  /** Like {@link expect}, but leaves the transcript to the caller. */
  *receive(...types: readonly HandshakeType[]): Handshake<HandshakeMessage> {
    this.#services.writer.flush()
    const message = (yield { kind: 'message' }) as HandshakeMessage
    this.#traceMessage('received', message, this.#services.reader.protection)
    if (types.some((type) => type === message.type)) return message
    const expected = types.map((type) => nameOf(HandshakeType, type)).join(' or ')
    throw new TlsError(
      'TLS_UNEXPECTED_MESSAGE',
      `Expected ${expected}, but ${nameOf(HandshakeType, message.type)} came`,
    )
  }

  /** Reads under new keys. Nothing may be left of the records under the old ones (RFC 8446 §5.1). */
  protectReading(
    suite: CipherSuiteParameters,
    secret: Uint8Array,
    protection: Exclude<Protection, 'plaintext'>,
  ): void {
    this.expectPause('its keys were replaced')
    this.#services.reader.protect(suite, secret, protection)
    this.trace({ kind: 'keys', direction: 'received', protection, atMs: this.nowMs })
  }

  /** Insists that the peer has sent nothing past the message that we are to answer. @throws TlsError TLS_UNEXPECTED_MESSAGE */
  expectPause(event: string): void {
    if (this.#services.assembler.isEmpty) return
    throw new TlsError('TLS_UNEXPECTED_MESSAGE', `A record goes on with messages after ${event}`)
  }

  protectWriting(
    suite: CipherSuiteParameters,
    secret: Uint8Array,
    protection: Exclude<Protection, 'plaintext'>,
  ): void {
    this.#services.writer.protect(suite, secret, protection)
    this.trace({ kind: 'keys', direction: 'sent', protection, atMs: this.nowMs })
  }

  /** Opens the gate for early data of a client, or for a server's answers to it. */
  startEarlyData(maxBytes: number): void {
    this.#earlyDataLeft = maxBytes
  }

  /** Closes it; the keys of early data stay in use until others replace them. */
  stopEarlyData(): void {
    this.#earlyDataLeft = undefined
  }

  /** Closes it because the server takes nothing of it: what was exported early binds nobody. */
  declineEarlyData(): void {
    this.stopEarlyData()
    this.earlyExporter = undefined
  }

  /** Closes it for good and goes back to plaintext: a HelloRetryRequest has made everything void. */
  revokeEarlyData(): void {
    if (this.#earlyDataLeft === undefined) return
    this.declineEarlyData()
    this.#services.writer.unprotect()
  }

  get isSendingEarlyData(): boolean {
    return this.#earlyDataLeft !== undefined
  }

  /** How many of `bytes` more of early data may go out; they are counted. */
  takeEarlyData(bytes: number): number {
    const taken = Math.min(bytes, this.#earlyDataLeft ?? 0)
    if (this.#earlyDataLeft !== undefined) this.#earlyDataLeft -= taken
    this.#earlyBytesTaken += taken
    return taken
  }

  /** How much has gone out early. */
  get earlyBytesTaken(): number {
    return this.#earlyBytesTaken
  }

  /** Drops the early data that is under way although we do not take it. */
  skipEarlyData(): void {
    this.#services.reader.skipEarlyData()
  }

  /** Holds the peer to the record size that we announced (RFC 8449). */
  limitReading(maxPlaintextBytes: number): void {
    this.#services.reader.limit(maxPlaintextBytes)
  }

  /** Caps our records at what the peer takes (RFC 8449). */
  limitWriting(maxPlaintextBytes: number): void {
    this.#services.writer.limit(maxPlaintextBytes)
  }

  /** Hides, from here on, how long the messages are that depend on what an encrypted hello asks for (RFC 9849 §6.1.3). */
  padMessages(): void {
    this.#services.writer.padHandshake(ECH_PADDING_BLOCK_BYTES)
  }

  /** Sends the compatibility record once (RFC 8446 appendix D.4). */
  sendChangeCipherSpec(): void {
    if (this.#sentChangeCipherSpec) return
    this.#sentChangeCipherSpec = true
    this.#services.writer.changeCipherSpec()
    this.trace({ kind: 'change_cipher_spec', direction: 'sent', atMs: this.nowMs })
  }

  /** Takes charge of a secret: it is wiped when the connection ends, wherever the handshake stands by then. */
  own<Secret extends Uint8Array | Disposable>(secret: Secret): Secret {
    this.#owned.push(secret)
    return secret
  }

  /**
   * Wipes every secret in our charge, and what is heard of the handshake: it is complete, or the connection is over.
   *
   * @param kept those that others have taken charge of. @default none
   */
  wipe(kept: readonly (Uint8Array | Disposable | undefined)[] = []): void {
    this.transcript[Symbol.dispose]()
    for (const secret of this.#owned) {
      if (kept.includes(secret)) continue
      if (secret instanceof Uint8Array) secret.fill(0)
      else secret[Symbol.dispose]()
    }
    this.#owned = []
  }

  /** One line of the key log (RFC 9850 §2). */
  logSecret(label: string, clientRandom: Uint8Array, secret: Uint8Array): void {
    this.#services.keyLog?.(`${label} ${clientRandom.toHex()} ${secret.toHex()}`)
  }

  trace(event: TraceEvent): void {
    this.#services.trace?.(event)
  }

  #traceMessage(direction: Direction, message: HandshakeMessage, protection: Protection): void {
    if (this.#services.trace === undefined) return
    this.trace(messageEvent(direction, message, protection, this.nowMs, this.#services.compressors))
  }
}

/** The event of a handshake message; its details are decoded when somebody looks. */
export function messageEvent(
  direction: Direction,
  message: HandshakeMessage,
  protection: Protection,
  atMs: number,
  compressors: readonly CertificateCompressor[] = [],
): TraceEvent {
  return {
    kind: 'message',
    direction,
    type: nameOf(HandshakeType, message.type) as HandshakeTypeName,
    bytes: message.bytes.length,
    protection,
    atMs,
    get details() {
      return describeMessage(message, compressors)
    },
  }
}
