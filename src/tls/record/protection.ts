import {
  AEAD_NONCE_BYTES,
  AEAD_TAG_BYTES,
  type AeadOpener,
  type AeadSealer,
  type CryptoProvider,
} from '../../crypto/provider.ts'
import { TlsError } from '../errors.ts'
import { trafficKeys } from '../key-schedule.ts'
import { ContentType, ProtocolVersion, type CipherSuiteParameters } from '../registry.ts'

/** Type, legacy version and length (RFC 8446 §5.1). */
export const RECORD_HEADER_BYTES = 5

/** RFC 8446 §5.1: the most plaintext in a record. */
export const MAX_PLAINTEXT_BYTES: number = 2 ** 14

/** RFC 8446 §5.2: room for the content type, padding and the tag. */
export const MAX_CIPHERTEXT_BYTES: number = MAX_PLAINTEXT_BYTES + 256

/** What a protected record adds to its plaintext: header, content type and tag. */
export const RECORD_OVERHEAD_BYTES: number = RECORD_HEADER_BYTES + 1 + AEAD_TAG_BYTES

/** The nonce of the record at hand: one thread seals or opens one record at a time. */
const nonce = new Uint8Array(AEAD_NONCE_BYTES)

/**
 * The per-record nonce: the sequence number, left-padded, XORed onto the IV (RFC 8446 §5.3). Every connection has two of these
 * for all its life, so they are numbers: an array of twelve bytes takes ten times its size.
 */
class Nonce {
  #high: number
  #middle: number
  #low: number
  #sequence = 0

  /** @param iv is wiped */
  constructor(iv: Uint8Array) {
    this.#high = readInt32(iv, 0)
    this.#middle = readInt32(iv, 4)
    this.#low = readInt32(iv, 8)
    iv.fill(0)
  }

  /** How many records came before. */
  get sequence(): number {
    return this.#sequence
  }

  /** Of the next record, in memory that all connections share. */
  bytes(): Uint8Array {
    writeInt32(nonce, 0, this.#high)
    writeInt32(nonce, 4, this.#middle ^ Math.floor(this.#sequence / 0x1_0000_0000))
    writeInt32(nonce, 8, this.#low ^ this.#sequence)
    return nonce
  }

  /** Moves to the next record. The limits on key use stop every key long before 2^53. */
  advance(): void {
    this.#sequence++
  }

  wipe(): void {
    this.#high = this.#middle = this.#low = 0
    nonce.fill(0)
  }
}

/** From here on a call into the AEAD is cheaper than to copy the plaintext beside its content type. */
const COPY_BELOW_BYTES = 1024

/** The header of the record at hand: what the AEAD authenticates besides (RFC 8446 §5.2). One thread handles one at a time. */
const header = new Uint8Array(RECORD_HEADER_BYTES)

/** The content type of the record at hand. */
const contentType = new Uint8Array(1)

/** Seals records of one direction under one traffic secret. */
export class RecordSealer implements Disposable {
  readonly #aead: AeadSealer
  readonly #nonce: Nonce
  readonly #limit: number

  constructor(crypto: CryptoProvider, suite: CipherSuiteParameters, secret: Uint8Array) {
    const { key, iv } = trafficKeys(crypto, suite, secret)
    this.#aead = crypto.sealer(suite.aead, key)
    this.#nonce = new Nonce(iv)
    this.#limit = suite.recordLimit
    key.fill(0)
  }

  /** How many records may follow before it is time for a new key: at half of the limit, long before it must be. */
  get recordsLeft(): number {
    return Math.max(0, Math.ceil(this.#limit / 2) - this.#nonce.sequence)
  }

  /**
   * Writes one record with `plaintext` and `padding` zeros into `output`, which it may not overlap, and returns its length.
   *
   * @throws TlsError TLS_KEY_LIMIT
   */
  seal(type: ContentType, plaintext: Uint8Array, output: Uint8Array, padding = 0): number {
    if (this.#nonce.sequence >= this.#limit) {
      throw new TlsError('TLS_KEY_LIMIT', `A key has sealed ${this.#limit} records, its limit`)
    }
    const { length } = plaintext
    const innerBytes = length + 1 + padding
    writeHeader(header, ContentType.application_data, innerBytes + AEAD_TAG_BYTES)
    output.set(header)
    const body = output.subarray(RECORD_HEADER_BYTES)
    let sealed: number
    if (padding === 0 && length >= COPY_BELOW_BYTES) {
      contentType[0] = type
      sealed = this.#aead.seal(this.#nonce.bytes(), header, plaintext, body, contentType)
    } else {
      body.set(plaintext)
      body[length] = type
      body.fill(0, length + 1, innerBytes)
      sealed = this.#aead.seal(this.#nonce.bytes(), header, body.subarray(0, innerBytes), body)
    }
    this.#nonce.advance()
    return RECORD_HEADER_BYTES + sealed
  }

  [Symbol.dispose](): void {
    this.#aead[Symbol.dispose]()
    this.#nonce.wipe()
  }
}

/** Opens records of one direction under one traffic secret. */
export class RecordOpener implements Disposable {
  readonly #aead: AeadOpener
  readonly #nonce: Nonce
  readonly #limit: number
  #contentType = 0

  constructor(crypto: CryptoProvider, suite: CipherSuiteParameters, secret: Uint8Array) {
    const { key, iv } = trafficKeys(crypto, suite, secret)
    this.#aead = crypto.opener(suite.aead, key)
    this.#nonce = new Nonce(iv)
    this.#limit = suite.recordLimit
    key.fill(0)
  }

  /** What the record that was opened last held: a {@link ContentType}, if the peer is honest. */
  get contentType(): number {
    return this.#contentType
  }

  /**
   * Opens one record.
   *
   * @param record with its header
   * @param fragment what is behind the header
   * @param output takes the plaintext, and with it the content type, the padding and room for the tag; it may be the record
   *   behind its header, but may not overlap it otherwise
   * @returns the length of the plaintext
   * @throws TlsError TLS_BAD_RECORD_MAC, TLS_RECORD_OVERFLOW, TLS_UNEXPECTED_MESSAGE, TLS_KEY_LIMIT
   */
  open(record: Uint8Array, fragment: Uint8Array, output: Uint8Array): number {
    if (this.#nonce.sequence >= this.#limit) {
      throw new TlsError('TLS_KEY_LIMIT', `The peer has sealed ${this.#limit} records under one key`)
    }
    for (let i = 0; i < RECORD_HEADER_BYTES; i++) header[i] = record[i]!
    const opened =
      fragment.length > AEAD_TAG_BYTES ? this.#aead.open(this.#nonce.bytes(), header, fragment, output) : -1
    if (opened < 0) {
      throw new TlsError(
        'TLS_BAD_RECORD_MAC',
        `Record ${this.#nonce.sequence} under the current key is not authentic`,
      )
    }
    this.#nonce.advance()
    if (opened > MAX_PLAINTEXT_BYTES + 1) {
      throw new TlsError(
        'TLS_RECORD_OVERFLOW',
        `A record holds ${opened - 1} bytes, at most ${MAX_PLAINTEXT_BYTES} are allowed`,
      )
    }
    let end = opened - 1
    while (end >= 0 && output[end] === 0) end--
    if (end < 0)
      throw new TlsError('TLS_UNEXPECTED_MESSAGE', 'A protected record has no content type (RFC 8446 §5.4)')
    this.#contentType = output[end]!
    return end
  }

  [Symbol.dispose](): void {
    this.#aead[Symbol.dispose]()
    this.#nonce.wipe()
  }
}

/** Writes a record header with the legacy version that RFC 8446 §5.1 demands. */
export function writeHeader(
  output: Uint8Array,
  type: ContentType,
  length: number,
  version: number = ProtocolVersion.tls12,
): void {
  output[0] = type
  output[1] = version >>> 8
  output[2] = version
  output[3] = length >>> 8
  output[4] = length
}

function readInt32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}

function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}
