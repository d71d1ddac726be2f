import type { CryptoProvider } from '../../crypto/provider.ts'
import type { AlertLevel } from '../alerts.ts'
import { TlsError } from '../errors.ts'
import { ContentType, ProtocolVersion, type CipherSuiteParameters } from '../registry.ts'
import type { Protection } from '../trace.ts'
import { RecordFramer } from './framer.ts'
import {
  MAX_PLAINTEXT_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_OVERHEAD_BYTES,
  RecordOpener,
  type OpenedRecord,
  RecordSealer,
  writeHeader,
} from './protection.ts'

/**
 * Records without content in a row that are forgiven (empty fragments, change_cipher_spec). Honest peers send one or
 * two; the number is BoringSSL's.
 */
const MAX_IDLE_RECORDS = 32

/** Declined early data is skipped up to here; a client that honours a ticket's limit sends about as much at most. */
const MAX_SKIPPED_EARLY_BYTES = 2 ** 15

/** Alerts that end nothing and are forgiven without application data between them; the number is BoringSSL's. */
const MAX_ALERTS = 4

/** Where the record layer delivers. Views are valid only during the call. */
export interface RecordSink {
  handshake(fragment: Uint8Array, protection: Protection): void
  alert(fragment: Uint8Array, protection: Protection): void
  changeCipherSpec(fragment: Uint8Array): void
  applicationData(plaintext: Uint8Array, protection: Protection): void
  /** Sealed bytes for the wire. */
  output(ciphertext: Uint8Array): void
}

/** Frames, seals and opens records, each direction under its current keys (RFC 8446 §5). */
export class RecordLayer implements Disposable {
  readonly #crypto: CryptoProvider
  readonly #sink: RecordSink
  readonly #framer = new RecordFramer()
  #opener: RecordOpener | undefined
  #sealer: RecordSealer | undefined
  #readProtection: Protection = 'plaintext'
  #writeProtection: Protection = 'plaintext'
  /** Handshake messages that wait to share records. */
  #flight: Uint8Array[] = []
  /** RFC 8446 §5.1: a first ClientHello may carry 0x0301, which the oldest middleboxes like best. */
  #firstVersion: number
  #openedRecord = false
  #idleRecords = 0
  #skippableBytes = 0
  #alerts = 0
  #maxPlaintextBytes = MAX_PLAINTEXT_BYTES
  #stopped = false
  #stoppedWriting = false
  #isDisposed = false

  constructor(crypto: CryptoProvider, role: 'client' | 'server', sink: RecordSink) {
    this.#crypto = crypto
    this.#firstVersion = role === 'client' ? ProtocolVersion.tls10 : ProtocolVersion.tls12
    this.#sink = sink
  }

  get readProtection(): Protection {
    return this.#readProtection
  }

  get writeProtection(): Protection {
    return this.#writeProtection
  }

  /** Whether it is time to replace the write key. */
  get wantsKeyUpdate(): boolean {
    return this.#sealer?.wantsReplacement ?? false
  }

  /** Whether the input stopped inside a record. */
  get isInsideRecord(): boolean {
    return !this.#framer.isAtBoundary
  }

  /** Delivers what `ciphertext` completes; its bytes are decrypted in place. @throws TlsError */
  receive(ciphertext: Uint8Array): void {
    this.#framer.push(ciphertext, (record) => {
      this.#deliver(record)
      return !this.#stopped
    })
  }

  /** Reads under new keys from the next record on. */
  protectReading(suite: CipherSuiteParameters, secret: Uint8Array, protection: Protection): void {
    if (this.#isDisposed) return
    this.#opener?.[Symbol.dispose]()
    this.#opener = new RecordOpener(this.#crypto, suite, secret)
    this.#openedRecord = false
    this.#readProtection = protection
  }

  /** Writes under new keys from the next record on; what is queued goes out under the old ones. */
  protectWriting(suite: CipherSuiteParameters, secret: Uint8Array, protection: Protection): void {
    this.flush()
    // Whoever took the output may have ended the connection.
    if (this.#isDisposed) return
    this.#sealer?.[Symbol.dispose]()
    this.#sealer = new RecordSealer(this.#crypto, suite, secret)
    this.#writeProtection = protection
  }

  /** Goes back to plaintext, for the one message that follows a HelloRetryRequest after early data. */
  unprotectWriting(): void {
    this.flush()
    this.#sealer?.[Symbol.dispose]()
    this.#sealer = undefined
    this.#writeProtection = 'plaintext'
  }

  /** From here on, records that cannot be opened are dropped as early data that we declined, within a limit. */
  skipEarlyData(): void {
    this.#skippableBytes = MAX_SKIPPED_EARLY_BYTES
  }

  /** Caps the plaintext of each record that we write, content type not counted (RFC 8449). */
  limitWriting(maxPlaintextBytes: number): void {
    this.#maxPlaintextBytes = Math.min(maxPlaintextBytes, MAX_PLAINTEXT_BYTES)
  }

  /** Queues a handshake message, so that a flight shares records. */
  queueHandshake(message: Uint8Array): void {
    this.#flight.push(message)
  }

  /** Sends the queued handshake messages. */
  flush(): void {
    if (this.#flight.length === 0) return
    const messages = this.#flight.length === 1 ? this.#flight[0]! : Buffer.concat(this.#flight)
    this.#flight = []
    this.#write(ContentType.handshake, messages)
  }

  /** The compatibility record of RFC 8446 appendix D.4, never protected. */
  sendChangeCipherSpec(): void {
    this.flush()
    if (this.#stoppedWriting) return
    const record = new Uint8Array(RECORD_HEADER_BYTES + 1)
    writeHeader(record, ContentType.change_cipher_spec, 1)
    record[RECORD_HEADER_BYTES] = 1
    this.#sink.output(record)
  }

  sendAlert(level: AlertLevel, description: number): void {
    this.flush()
    this.#write(ContentType.alert, Uint8Array.of(level, description))
  }

  /** @throws TlsError TLS_KEY_LIMIT */
  sendApplicationData(plaintext: Uint8Array): void {
    this.#write(ContentType.application_data, plaintext)
  }

  /** Delivers nothing more, not even the rest of what is being received. */
  stop(): void {
    this.#stopped = true
  }

  /** Drops whatever is written from here on: nothing may follow close_notify (RFC 8446 §6.1). */
  stopWriting(): void {
    this.#stoppedWriting = true
  }

  /** Frees the keys, and takes no others. */
  [Symbol.dispose](): void {
    this.#stopped = true
    this.#stoppedWriting = true
    this.#isDisposed = true
    this.#opener?.[Symbol.dispose]()
    this.#sealer?.[Symbol.dispose]()
  }

  #deliver(record: Uint8Array): void {
    const type = record[0]!
    const fragment = record.subarray(RECORD_HEADER_BYTES)
    if (type === ContentType.change_cipher_spec) {
      this.#countIdle()
      this.#sink.changeCipherSpec(fragment)
      return
    }
    if (this.#opener === undefined) {
      if (type === ContentType.application_data) {
        if (this.#skip(fragment)) return
        throw new TlsError('TLS_UNEXPECTED_MESSAGE', 'Protected data came before any keys were agreed')
      }
      if (type === ContentType.handshake) this.#skippableBytes = 0
      this.#dispatch(type, fragment, 'plaintext')
      return
    }
    if (type === ContentType.alert && this.#toleratesPlaintextAlert(fragment)) {
      this.#countIdle()
      this.#sink.alert(fragment, 'plaintext')
      return
    }
    const version = (record[1]! << 8) | record[2]!
    if (version !== ProtocolVersion.tls12) {
      throw new TlsError(
        'TLS_DECODE_ERROR',
        `A protected record has the legacy version 0x${version.toString(16)}, expected 0x303 (RFC 8446 §5.2)`,
      )
    }
    const opened = this.#open(this.#opener, record)
    if (opened === undefined) return
    if (type !== ContentType.application_data) {
      throw new TlsError('TLS_UNEXPECTED_MESSAGE', `A protected record came under the outer type ${type}`)
    }
    this.#openedRecord = true
    this.#skippableBytes = 0
    this.#dispatch(opened.type, opened.plaintext, this.#readProtection)
  }

  /** Undefined for a record that is skipped. */
  #open(opener: RecordOpener, record: Uint8Array): OpenedRecord | undefined {
    const mayBeEarlyData = this.#skippableBytes > 0 && record[0] === ContentType.application_data
    if (!mayBeEarlyData) return opener.open(record)
    const length = record.length - RECORD_HEADER_BYTES
    try {
      return opener.open(record)
    } catch (thrown) {
      if (
        thrown instanceof TlsError &&
        thrown.code === 'TLS_BAD_RECORD_MAC' &&
        this.#skip(record.subarray(0, length))
      ) {
        return undefined
      }
      throw thrown
    }
  }

  /** Whether a record passes for declined early data. @throws TlsError TLS_EARLY_DATA_LIMIT */
  #skip(fragment: Uint8Array): boolean {
    if (this.#skippableBytes === 0) return false
    this.#skippableBytes -= fragment.length
    if (this.#skippableBytes > 0) return true
    throw new TlsError(
      'TLS_EARLY_DATA_LIMIT',
      `More than ${MAX_SKIPPED_EARLY_BYTES} bytes of declined early data came`,
    )
  }

  /**
   * A peer that fails before it has read our ServerHello's consequences alerts in plaintext, though we read under
   * handshake keys by then (OpenSSL does). Its first record may be such an alert, and nothing later.
   */
  #toleratesPlaintextAlert(fragment: Uint8Array): boolean {
    return this.#readProtection === 'handshake' && !this.#openedRecord && fragment.length === 2
  }

  #dispatch(type: number, content: Uint8Array, protection: Protection): void {
    switch (type) {
      case ContentType.handshake:
        if (content.length === 0)
          throw new TlsError('TLS_UNEXPECTED_MESSAGE', 'A handshake record is empty (RFC 8446 §5.1)')
        this.#idleRecords = 0
        this.#sink.handshake(content, protection)
        return
      case ContentType.alert:
        this.#countAlert()
        this.#sink.alert(content, protection)
        return
      case ContentType.application_data:
        if (content.length === 0) this.#countIdle()
        else this.#idleRecords = this.#alerts = 0
        this.#sink.applicationData(content, protection)
        return
      default:
        throw new TlsError('TLS_UNEXPECTED_MESSAGE', `A record has the unexpected content type ${type}`)
    }
  }

  #countAlert(): void {
    if (++this.#alerts <= MAX_ALERTS) return
    throw new TlsError('TLS_FLOOD', `The peer sent more than ${MAX_ALERTS} alerts (user_canceled) in a row`)
  }

  #countIdle(): void {
    if (++this.#idleRecords <= MAX_IDLE_RECORDS) return
    throw new TlsError(
      'TLS_FLOOD',
      `The peer sent more than ${MAX_IDLE_RECORDS} records without content in a row`,
    )
  }

  #write(type: ContentType, content: Uint8Array): void {
    if (this.#stoppedWriting) return
    if (this.#isDisposed) return
    const limit = this.#maxPlaintextBytes
    const records = Math.max(1, Math.ceil(content.length / limit))
    const output = new Uint8Array(content.length + records * RECORD_OVERHEAD_BYTES)
    let written = 0
    for (let offset = 0, i = 0; i < records; i++, offset += limit) {
      const fragment = content.subarray(offset, offset + limit)
      written += this.#writeRecord(type, fragment, output.subarray(written))
    }
    this.#sink.output(output.subarray(0, written))
  }

  #writeRecord(type: ContentType, fragment: Uint8Array, output: Uint8Array): number {
    if (this.#sealer !== undefined) return this.#sealer.seal(type, fragment, output)
    writeHeader(output, type, fragment.length, this.#firstVersion)
    this.#firstVersion = ProtocolVersion.tls12
    output.set(fragment, RECORD_HEADER_BYTES)
    return RECORD_HEADER_BYTES + fragment.length
  }
}
