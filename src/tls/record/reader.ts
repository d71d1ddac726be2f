import type { CryptoProvider } from '../../crypto/provider.ts'
import { TlsError } from '../errors.ts'
import { ContentType, ProtocolVersion, type CipherSuiteParameters } from '../registry.ts'
import type { Protection } from '../trace.ts'
import { RecordFramer } from './framer.ts'
import { MAX_PLAINTEXT_BYTES, RECORD_HEADER_BYTES, RecordOpener } from './protection.ts'
import { borrowScratch, returnScratch, SCRATCH_BYTES } from './scratch.ts'

/**
 * Records without content in a row that are forgiven (empty fragments, change_cipher_spec). Honest peers send one or
 * two; the number is BoringSSL's.
 */
const MAX_IDLE_RECORDS = 32

/** Declined early data is skipped up to here; a client that honours a ticket's limit sends about as much at most. */
const MAX_SKIPPED_EARLY_BYTES = 2 ** 14

/** Alerts that end nothing and are forgiven without application data between them; the number is BoringSSL's. */
const MAX_ALERTS = 4

/** A paused transport delivers what it has read already, 64 KiB at a time; four times that is no accident. */
const MAX_HELD_BYTES = 2 ** 18

/** Where the records of a peer are delivered. Views are valid only during the call. */
export interface RecordSink {
  handshake(fragment: Uint8Array, protection: Protection): void
  alert(fragment: Uint8Array, protection: Protection): void
  changeCipherSpec(fragment: Uint8Array): void
  applicationData(plaintext: Uint8Array, protection: Protection): void
}

/**
 * Frames and opens what the peer sends, under its current keys, and counts what carries nothing (RFC 8446 §5). The application data
 * of all records that came at once is delivered at once.
 */
export class RecordReader implements Disposable {
  readonly #crypto: CryptoProvider
  readonly #sink: RecordSink
  readonly #framer = new RecordFramer()
  #opener: RecordOpener | undefined
  #protection: Protection = 'plaintext'
  #openedRecord = false
  #idleRecords = 0
  #skippableBytes = 0
  #alerts = 0
  #maxPlaintextBytes = MAX_PLAINTEXT_BYTES
  #stopped = false
  #isPaused = false
  #held: Uint8Array[] = []
  #heldBytes = 0
  /** Application data that waits to be delivered with the next, in borrowed memory. */
  #gathered: Uint8Array | undefined
  #gatheredBytes = 0
  #isDisposed = false

  constructor(crypto: CryptoProvider, sink: RecordSink) {
    this.#crypto = crypto
    this.#sink = sink
  }

  get protection(): Protection {
    return this.#protection
  }

  /** Delivers what `ciphertext` completes; its bytes may be overwritten. @throws TlsError */
  receive(ciphertext: Uint8Array): void {
    if (this.#isPaused) return this.#hold(ciphertext)
    let taken: number
    try {
      taken = this.#framer.push(ciphertext, this.#take)
    } finally {
      // What came before a record that is refused was authentic.
      this.#deliverGathered()
    }
    if (this.#isPaused && taken < ciphertext.length) this.#hold(ciphertext.subarray(taken))
  }

  /** Holds what comes from here on, even the rest of what is being received. */
  pause(): void {
    this.#isPaused = true
  }

  /** Delivers what was held, until paused anew. @throws TlsError */
  resume(): void {
    this.#isPaused = false
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    for (const bytes of held) if (!this.#stopped) this.receive(bytes)
  }

  /** Reads under new keys from the next record on. */
  protect(suite: CipherSuiteParameters, secret: Uint8Array, protection: Protection): void {
    if (this.#isDisposed) return
    this.#opener?.[Symbol.dispose]()
    this.#opener = new RecordOpener(this.#crypto, suite, secret)
    this.#openedRecord = false
    this.#protection = protection
  }

  /** From here on, records that cannot be opened are dropped as early data that we declined, within a limit. */
  skipEarlyData(): void {
    this.#skippableBytes = MAX_SKIPPED_EARLY_BYTES
  }

  /** Refuses protected records with more plaintext, as we have asked the peer to send none (RFC 8449 §4). */
  limit(maxPlaintextBytes: number): void {
    this.#maxPlaintextBytes = maxPlaintextBytes
  }

  /** Delivers nothing more, not even the rest of what is being received. */
  stop(): void {
    this.#stopped = true
  }

  /** Frees the keys, and takes no others. */
  [Symbol.dispose](): void {
    this.#stopped = true
    this.#isDisposed = true
    this.#held = []
    this.#opener?.[Symbol.dispose]()
  }

  /** The caller's array may be used again: what is held is a copy. */
  #hold(bytes: Uint8Array): void {
    this.#heldBytes += bytes.length
    if (this.#heldBytes > MAX_HELD_BYTES) {
      throw new TlsError(
        'TLS_HELD_LIMIT',
        `More than ${MAX_HELD_BYTES} bytes came while an answer was awaited`,
      )
    }
    this.#held.push(bytes.slice())
  }

  readonly #take = (record: Uint8Array): boolean => {
    this.#deliver(record)
    return !this.#stopped && !this.#isPaused
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
    if (this.#protection === 'application') {
      this.#gather(this.#opener, record, fragment)
      return
    }
    const length = this.#open(this.#opener, record, fragment)
    if (length === undefined) return
    this.#checkOpened(record, length)
    this.#dispatch(this.#opener.contentType, fragment.subarray(0, length), this.#protection)
  }

  /** Opens the record behind what is gathered already. Whatever is not application data comes after it, and alone. */
  #gather(opener: RecordOpener, record: Uint8Array, fragment: Uint8Array): void {
    if (this.#gatheredBytes + record.length > SCRATCH_BYTES) {
      this.#deliverGathered()
      if (this.#stopped) return
    }
    const gathered = (this.#gathered ??= borrowScratch(SCRATCH_BYTES))
    const start = this.#gatheredBytes
    const length = opener.open(record, fragment, start === 0 ? gathered : gathered.subarray(start))
    this.#checkOpened(record, length)
    if (opener.contentType === ContentType.application_data && length > 0) {
      this.#idleRecords = this.#alerts = 0
      this.#gatheredBytes += length
      return
    }
    // With nothing before it, it may stay where it is: whoever takes it copies it at once.
    if (start === 0) return this.#dispatch(opener.contentType, gathered.subarray(0, length), 'application')
    const content = gathered.slice(start, start + length)
    this.#deliverGathered()
    if (!this.#stopped) this.#dispatch(opener.contentType, content, 'application')
  }

  #deliverGathered(): void {
    const gathered = this.#gathered
    if (gathered === undefined) return
    const length = this.#gatheredBytes
    this.#gathered = undefined
    this.#gatheredBytes = 0
    if (length > 0 && !this.#stopped) this.#sink.applicationData(gathered.subarray(0, length), 'application')
    returnScratch(gathered)
  }

  #checkOpened(record: Uint8Array, length: number): void {
    if (record[0] !== ContentType.application_data) {
      throw new TlsError(
        'TLS_UNEXPECTED_MESSAGE',
        `A protected record came under the outer type ${record[0]}`,
      )
    }
    this.#openedRecord = true
    this.#skippableBytes = 0
    this.#checkLength(length)
  }

  /** Opens a record in place. @returns the length of what it held, undefined for a record that is skipped */
  #open(opener: RecordOpener, record: Uint8Array, fragment: Uint8Array): number | undefined {
    const mayBeEarlyData = this.#skippableBytes > 0 && record[0] === ContentType.application_data
    if (!mayBeEarlyData) return opener.open(record, fragment, fragment)
    try {
      return opener.open(record, fragment, fragment)
    } catch (thrown) {
      const isForeign = thrown instanceof TlsError && thrown.code === 'TLS_BAD_RECORD_MAC'
      if (isForeign && this.#skip(fragment)) return undefined
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
    return this.#protection === 'handshake' && !this.#openedRecord && fragment.length === 2
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

  #checkLength(length: number): void {
    if (length <= this.#maxPlaintextBytes) return
    throw new TlsError(
      'TLS_RECORD_OVERFLOW',
      `A record holds ${length} bytes, but we asked for at most ${this.#maxPlaintextBytes}`,
    )
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
}
