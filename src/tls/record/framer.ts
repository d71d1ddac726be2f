import { passingBytes } from '../../bytes/bytes.ts'
import { TlsError } from '../errors.ts'
import { ContentType } from '../registry.ts'
import { MAX_CIPHERTEXT_BYTES, MAX_PLAINTEXT_BYTES, RECORD_HEADER_BYTES } from './protection.ts'

/** How many bytes of a peer that is not TLS are shown to the operator. */
const EVIDENCE_BYTES = 24

/** Partial records up to this size get memory of their own; longer ones share pieces that fit every record. */
const SMALL_RECORD_BYTES = 2048

const MAX_RECORD_BYTES = RECORD_HEADER_BYTES + MAX_CIPHERTEXT_BYTES

/** Pieces that wait for the next long partial record, 1 MiB together. */
const MAX_SPARE = 64
const spare: Uint8Array<ArrayBuffer>[] = []

const NOTHING = new Uint8Array(0)

/** Cuts a byte stream into whole records, copying only the parts of records that arrive in pieces. */
export class RecordFramer {
  /** A record of which a part has arrived. */
  #partial = NOTHING
  #length = 0
  #sawRecord = false

  /** Whether the stream stands between two records. */
  get isAtBoundary(): boolean {
    return this.#length === 0
  }

  /**
   * Calls `take` with every whole record, header included, until it returns false. The records are views
   * that `take` may overwrite, valid only during the call.
   *
   * @returns how many bytes of `input` were used: all of them, unless `take` returned false
   * @throws TlsError TLS_NOT_TLS, TLS_RECORD_OVERFLOW, TLS_UNEXPECTED_MESSAGE, and whatever `take` throws
   */
  push(input: Uint8Array, take: (record: Uint8Array) => boolean): number {
    let offset = 0
    while (offset < input.length) {
      const rest = input.length - offset
      if (this.#length === 0 && rest >= RECORD_HEADER_BYTES) {
        const recordBytes = this.#recordBytes(input, offset)
        if (rest >= recordBytes) {
          offset += recordBytes
          if (!take(input.subarray(offset - recordBytes, offset))) return offset
          continue
        }
        this.#makeRoom(recordBytes)
      }
      offset += this.#collect(input, offset)
      if (!this.#isWhole()) continue
      const partial = this.#partial
      const record = partial.subarray(0, this.#length)
      this.#length = 0
      this.#partial = NOTHING
      const goOn = take(record)
      if (partial.length === MAX_RECORD_BYTES && spare.length < MAX_SPARE) spare.push(partial)
      if (!goOn) return offset
    }
    return offset
  }

  /** Adds what the partial record lacks, and returns how much that was. */
  #collect(input: Uint8Array, offset: number): number {
    const isHeader = this.#length < RECORD_HEADER_BYTES
    const wanted = isHeader ? RECORD_HEADER_BYTES : this.#recordBytes(this.#partial, 0)
    const taken = Math.min(wanted - this.#length, input.length - offset)
    this.#makeRoom(wanted)
    this.#partial.set(input.subarray(offset, offset + taken), this.#length)
    this.#length += taken
    if (!this.#sawRecord) refuseForeignType(this.#partial.subarray(0, this.#length))
    return taken
  }

  #isWhole(): boolean {
    return this.#length >= RECORD_HEADER_BYTES && this.#length === this.#recordBytes(this.#partial, 0)
  }

  #makeRoom(bytes: number): void {
    if (this.#partial.length >= bytes) return
    const isSmall = bytes <= SMALL_RECORD_BYTES
    const grown = isSmall ? passingBytes(bytes) : (spare.pop() ?? passingBytes(MAX_RECORD_BYTES))
    grown.set(this.#partial.subarray(0, this.#length))
    this.#partial = grown
  }

  /** The length of the record that begins at `offset`, with its header. */
  #recordBytes(bytes: Uint8Array, offset: number): number {
    const type = bytes[offset]!
    if (!this.#sawRecord) refuseForeignType(bytes.subarray(offset))
    if (type < ContentType.change_cipher_spec || type > ContentType.application_data) {
      throw new TlsError('TLS_UNEXPECTED_MESSAGE', `A record has the unknown content type ${type}`)
    }
    if (bytes[offset + 1] !== 3) {
      throw this.#sawRecord
        ? new TlsError(
            'TLS_DECODE_ERROR',
            `A record has the legacy version 0x${bytes[offset + 1]!.toString(16)}xx, expected 0x03xx`,
          )
        : notTls(bytes.subarray(offset))
    }
    this.#sawRecord = true
    const length = (bytes[offset + 3]! << 8) | bytes[offset + 4]!
    const limit = type === ContentType.application_data ? MAX_CIPHERTEXT_BYTES : MAX_PLAINTEXT_BYTES
    if (length > limit) {
      throw new TlsError(
        'TLS_RECORD_OVERFLOW',
        `A record announces ${length} bytes, at most ${limit} are allowed`,
      )
    }
    return RECORD_HEADER_BYTES + length
  }
}

function refuseForeignType(input: Uint8Array): void {
  const type = input[0]!
  if (type < ContentType.change_cipher_spec || type > ContentType.application_data) throw notTls(input)
}

/** Names what the peer speaks instead, as far as the first bytes tell. */
function notTls(input: Uint8Array): TlsError {
  const shown = input.subarray(0, EVIDENCE_BYTES)
  const text = Array.from(shown, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
  ).join('')
  const guess = /^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|CONNECT|PRI) ?/.test(text)
    ? 'plaintext HTTP'
    : text.startsWith('HTTP/')
      ? 'a plaintext HTTP response'
      : text.startsWith('SSH-')
        ? 'SSH'
        : 'something that is not TLS'
  return new TlsError(
    'TLS_NOT_TLS',
    `The peer speaks ${guess}: its first bytes are "${text}" (${shown.toHex()})`,
  )
}
