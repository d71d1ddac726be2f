import { uninitialised } from '../../bytes/bytes.ts'
import { TlsError } from '../errors.ts'
import { ContentType } from '../registry.ts'
import { MAX_CIPHERTEXT_BYTES, MAX_PLAINTEXT_BYTES, RECORD_HEADER_BYTES } from './protection.ts'

/** How many bytes of a peer that is not TLS are shown to the operator. */
const EVIDENCE_BYTES = 24

/** Cuts a byte stream into whole records, copying only the parts of records that arrive in pieces. */
export class RecordFramer {
  /** A record of which a part has arrived. */
  #partial = new Uint8Array(0)
  #length = 0
  #sawRecord = false

  /** Whether the stream stands between two records. */
  get isAtBoundary(): boolean {
    return this.#length === 0
  }

  /**
   * Calls `take` with every whole record, header included, until it returns false. The records are views
   * that `take` may overwrite.
   *
   * @returns how many bytes of `input` were used: all of them, unless `take` returned false
   * @throws TlsError TLS_NOT_TLS, TLS_RECORD_OVERFLOW, TLS_UNEXPECTED_MESSAGE, and whatever `take` throws
   */
  push(input: Uint8Array, take: (record: Uint8Array) => boolean): number {
    let offset = 0
    while (offset < input.length) {
      const rest = input.length - offset
      if (this.#length === 0 && rest >= RECORD_HEADER_BYTES) {
        const recordBytes = this.#recordBytes(input.subarray(offset))
        if (rest >= recordBytes) {
          offset += recordBytes
          if (!take(input.subarray(offset - recordBytes, offset))) return offset
          continue
        }
      }
      offset += this.#collect(input.subarray(offset))
      const record = this.#collected()
      if (record !== undefined && !take(record)) return offset
    }
    return offset
  }

  /** Adds what the partial record lacks, and returns how much that was. */
  #collect(input: Uint8Array): number {
    const wanted = this.#length < RECORD_HEADER_BYTES ? RECORD_HEADER_BYTES : this.#recordBytes(this.#partial)
    const taken = Math.min(wanted - this.#length, input.length)
    if (this.#partial.length < wanted) {
      const grown = uninitialised(wanted)
      grown.set(this.#partial.subarray(0, this.#length))
      this.#partial = grown
    }
    this.#partial.set(input.subarray(0, taken), this.#length)
    this.#length += taken
    if (!this.#sawRecord) refuseForeignType(this.#partial.subarray(0, this.#length))
    return taken
  }

  #collected(): Uint8Array | undefined {
    if (this.#length < RECORD_HEADER_BYTES) return undefined
    const recordBytes = this.#recordBytes(this.#partial.subarray(0, this.#length))
    if (this.#length < recordBytes) return undefined
    const record = this.#partial.subarray(0, recordBytes)
    this.#length = 0
    // The view goes to the caller; the next partial record gets memory of its own.
    this.#partial = new Uint8Array(0)
    return record
  }

  /** The length of the record that begins here, with its header. */
  #recordBytes(record: Uint8Array): number {
    const type = record[0]!
    if (!this.#sawRecord) refuseForeignType(record)
    if (type < ContentType.change_cipher_spec || type > ContentType.application_data) {
      throw new TlsError('TLS_UNEXPECTED_MESSAGE', `A record has the unknown content type ${type}`)
    }
    if (record[1] !== 3) {
      throw this.#sawRecord
        ? new TlsError(
            'TLS_DECODE_ERROR',
            `A record has the legacy version 0x${record[1]!.toString(16)}xx, expected 0x03xx`,
          )
        : notTls(record)
    }
    this.#sawRecord = true
    const length = (record[3]! << 8) | record[4]!
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
