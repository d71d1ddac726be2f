import { passingCopy } from '../../bytes/bytes.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import type { AlertLevel } from '../alerts.ts'
import { ContentType, ProtocolVersion, type CipherSuiteParameters } from '../registry.ts'
import type { Protection } from '../trace.ts'
import {
  MAX_PLAINTEXT_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_OVERHEAD_BYTES,
  RecordSealer,
  writeHeader,
} from './protection.ts'
import { borrowScratch, returnScratch } from './scratch.ts'

/** What fits one TCP segment of Ethernet's 1,500 bytes with the largest usual headers and the record's own. */
const SMALL_RECORD_BYTES = 1369

/** How much of a burst goes out in small records: by then TCP's window is open, and size saves work. */
const SMALL_RECORD_BURST_BYTES = 128 * 1024

/** After such a pause TCP begins slowly again, and so do we. */
const BURST_IDLE_MS = 1000

/** How records are cut: those of application data, unless said otherwise. */
export interface RecordShaping {
  /** Pads each record to a multiple of so many bytes, to hide lengths (RFC 8446 §5.4). @default none */
  readonly paddingBlockBytes?: number | undefined
  /** Begins each burst with small records, which a reader can open as soon as one segment is there. @default false */
  readonly smallFirstRecords?: boolean | undefined
  /** The most plaintext in any record. @default 16384 */
  readonly maxSentRecordBytes?: number | undefined
  readonly nowMs: () => number
}

/** Cuts, seals and frames what we send, under our current keys (RFC 8446 §5). */
export class RecordWriter implements Disposable {
  readonly #crypto: CryptoProvider
  readonly #shaping: RecordShaping
  /** What it is given is valid only during the call. */
  readonly #output: (ciphertext: Uint8Array) => void
  #sealer: RecordSealer | undefined
  #protection: Protection = 'plaintext'
  /** Handshake messages that wait to share records. */
  #flight: Uint8Array[] = []
  /** RFC 8446 §5.1: a first ClientHello may carry 0x0301, which the oldest middleboxes like best. */
  #firstVersion: number
  #maxPlaintextBytes: number
  #handshakeBlockBytes: number | undefined
  #burstBytes = 0
  #lastDataMs = -Infinity
  #stopped = false
  #isDisposed = false

  constructor(
    crypto: CryptoProvider,
    role: 'client' | 'server',
    shaping: RecordShaping,
    output: (ciphertext: Uint8Array) => void,
  ) {
    this.#crypto = crypto
    this.#firstVersion = role === 'client' ? ProtocolVersion.tls10 : ProtocolVersion.tls12
    this.#shaping = shaping
    this.#maxPlaintextBytes = shaping.maxSentRecordBytes ?? MAX_PLAINTEXT_BYTES
    this.#output = output
  }

  get protection(): Protection {
    return this.#protection
  }

  /** Whether it is time to replace the key. */
  get wantsKeyUpdate(): boolean {
    return this.#sealer?.recordsLeft === 0
  }

  /** Writes under new keys from the next record on; what is queued goes out under the old ones. */
  protect(suite: CipherSuiteParameters, secret: Uint8Array, protection: Protection): void {
    this.flush()
    // Whoever took the output may have ended the connection.
    if (this.#isDisposed) return
    this.#sealer?.[Symbol.dispose]()
    this.#sealer = new RecordSealer(this.#crypto, suite, secret)
    this.#protection = protection
  }

  /** Goes back to plaintext, for the one message that follows a HelloRetryRequest after early data. */
  unprotect(): void {
    this.flush()
    this.#sealer?.[Symbol.dispose]()
    this.#sealer = undefined
    this.#protection = 'plaintext'
  }

  /** Caps the plaintext of each record, content type and padding not counted (RFC 8449). */
  limit(maxPlaintextBytes: number): void {
    this.#maxPlaintextBytes = Math.min(maxPlaintextBytes, this.#maxPlaintextBytes)
  }

  /** Pads each record of handshake messages to a multiple of so many bytes, once they are protected. */
  padHandshake(blockBytes: number): void {
    this.#handshakeBlockBytes = blockBytes
  }

  /** Queues a handshake message, so that a flight shares records. */
  queueHandshake(message: Uint8Array): void {
    this.#flight.push(message)
  }

  /** Sends the queued handshake messages. */
  flush(): void {
    if (this.#flight.length === 0) return
    const messages = this.#flight.length === 1 ? this.#flight[0]! : passingCopy(...this.#flight)
    this.#flight = []
    this.#write(ContentType.handshake, messages)
  }

  /** The compatibility record of RFC 8446 appendix D.4, never protected. */
  changeCipherSpec(): void {
    this.flush()
    if (this.#stopped) return
    const record = new Uint8Array(RECORD_HEADER_BYTES + 1)
    writeHeader(record, ContentType.change_cipher_spec, 1)
    record[RECORD_HEADER_BYTES] = 1
    this.#output(record)
  }

  alert(level: AlertLevel, description: number): void {
    this.flush()
    this.#write(ContentType.alert, Uint8Array.of(level, description))
  }

  /**
   * Writes as much as should go under one key; a key that is due for replacement still takes all, up to its limit.
   *
   * @returns how many bytes that was
   * @throws TlsError TLS_KEY_LIMIT
   */
  applicationData(plaintext: Uint8Array): number {
    const length = Math.min(plaintext.length, this.#bytesUnderKey())
    const small = this.#smallBytes(length)
    if (small > 0) this.#write(ContentType.application_data, part(plaintext, 0, small), SMALL_RECORD_BYTES)
    if (small < length) this.#write(ContentType.application_data, part(plaintext, small, length))
    return length
  }

  /** Drops whatever is written from here on: nothing may follow close_notify (RFC 8446 §6.1). */
  stop(): void {
    this.#stopped = true
  }

  /** Frees the keys, and takes no others. */
  [Symbol.dispose](): void {
    this.#stopped = true
    this.#isDisposed = true
    this.#sealer?.[Symbol.dispose]()
  }

  /** So many bytes fit into the records that are left to the key, in whichever way they are cut. */
  #bytesUnderKey(): number {
    const records = this.#sealer?.recordsLeft
    if (records === undefined || records === 0) return Infinity
    const smallest = this.#shaping.smallFirstRecords === true ? SMALL_RECORD_BYTES : Infinity
    return records * Math.min(smallest, this.#maxPlaintextBytes)
  }

  /** How many of the next `length` bytes belong into small records. */
  #smallBytes(length: number): number {
    if (this.#shaping.smallFirstRecords !== true) return 0
    const nowMs = this.#shaping.nowMs()
    if (nowMs - this.#lastDataMs > BURST_IDLE_MS) this.#burstBytes = 0
    this.#lastDataMs = nowMs
    const left = Math.max(0, SMALL_RECORD_BURST_BYTES - this.#burstBytes)
    this.#burstBytes += length
    return Math.min(left, length)
  }

  #write(type: ContentType, content: Uint8Array, preferredBytes: number = Infinity): void {
    if (this.#stopped) return
    const limit = Math.min(this.#maxPlaintextBytes, preferredBytes)
    const records = Math.max(1, Math.ceil(content.length / limit))
    const scratch = borrowScratch(
      content.length + records * (RECORD_OVERHEAD_BYTES + Math.min(this.#blockFor(type) ?? 0, limit)),
    )
    let written = 0
    for (let i = 0; i < records; i++) {
      const fragment = part(content, i * limit, Math.min((i + 1) * limit, content.length))
      written += this.#writeRecord(type, fragment, part(scratch, written, scratch.length))
    }
    this.#output(scratch.subarray(0, written))
    returnScratch(scratch)
  }

  #writeRecord(type: ContentType, fragment: Uint8Array, output: Uint8Array): number {
    if (this.#sealer !== undefined) {
      return this.#sealer.seal(type, fragment, output, this.#paddingFor(type, fragment.length))
    }
    writeHeader(output, type, fragment.length, this.#firstVersion)
    this.#firstVersion = ProtocolVersion.tls12
    output.set(fragment, RECORD_HEADER_BYTES)
    return RECORD_HEADER_BYTES + fragment.length
  }

  #paddingFor(type: ContentType, length: number): number {
    const block = this.#blockFor(type)
    if (block === undefined) return 0
    return Math.min((block - (length % block)) % block, this.#maxPlaintextBytes - length)
  }

  #blockFor(type: ContentType): number | undefined {
    if (type === ContentType.application_data) return this.#shaping.paddingBlockBytes
    return type === ContentType.handshake ? this.#handshakeBlockBytes : undefined
  }
}

/** A view of a part of `bytes`; of all of them, no new one. */
function part(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
}
