import { passingBytes } from './bytes.ts'

/** The most bytes a writer starts with; it doubles from there. */
const INITIAL_CAPACITY = 256

const NOTHING = new Uint8Array(0)

type PrefixBytes = 1 | 2 | 3

/** What a prefix of so many bytes can say at most. */
const MAX_LENGTH: Readonly<Record<PrefixBytes, number>> = { 1: 0xff, 2: 0xffff, 3: 0xff_ffff }

/**
 * Builds big-endian bytes. Length prefixes are written by closures and patched afterwards, so that no
 * length is ever computed by hand.
 */
export class Writer {
  #buffer: Uint8Array<ArrayBuffer>
  #length = 0

  constructor(capacity: number = INITIAL_CAPACITY) {
    this.#buffer = passingBytes(capacity)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  uint8(value: number): this {
    this.#reserve(1)
    this.#buffer[this.#length++] = value
    return this
  }

  uint16(value: number): this {
    this.#reserve(2)
    this.#buffer[this.#length++] = value >>> 8
    this.#buffer[this.#length++] = value
    return this
  }

  uint24(value: number): this {
    return this.uint8(value >>> 16).uint16(value & 0xffff)
  }

  uint32(value: number): this {
    return this.uint16(value >>> 16).uint16(value & 0xffff)
  }

  bytes(bytes: Uint8Array): this {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  /** The bytes behind their length in one byte. @throws RangeError when there are more than 255 */
  bytes8(bytes: Uint8Array): this {
    return this.#prefix(1, bytes.length).bytes(bytes)
  }

  /** The bytes behind their length in two bytes. @throws RangeError when there are more than 65,535 */
  bytes16(bytes: Uint8Array): this {
    return this.#prefix(2, bytes.length).bytes(bytes)
  }

  /** The bytes behind their length in three bytes. @throws RangeError when there are more than 2^24 - 1 */
  bytes24(bytes: Uint8Array): this {
    return this.#prefix(3, bytes.length).bytes(bytes)
  }

  /** What `write` writes, behind its length in one byte. @throws RangeError when it is longer than 255 bytes */
  vector8(write: (contents: this) => void): this {
    return this.#vector(1, write)
  }

  /** What `write` writes, behind its length in two bytes. @throws RangeError when it is longer than 65,535 bytes */
  vector16(write: (contents: this) => void): this {
    return this.#vector(2, write)
  }

  /** What `write` writes, behind its length in three bytes. @throws RangeError when it is longer than 2^24 - 1 bytes */
  vector24(write: (contents: this) => void): this {
    return this.#vector(3, write)
  }

  /** Everything written, as a view that is valid until more is written. */
  get written(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Begins anew in the same memory. */
  restart(): this {
    this.#length = 0
    return this
  }

  /** Everything written, which is the caller's from here on; the writer begins anew in other memory. */
  finish(): Uint8Array<ArrayBuffer> {
    const written = this.#buffer.subarray(0, this.#length)
    this.#buffer = NOTHING
    this.#length = 0
    return written
  }

  #vector(prefixBytes: PrefixBytes, write: (contents: this) => void): this {
    const start = this.#length
    this.#reserve(prefixBytes)
    this.#length += prefixBytes
    write(this)
    const end = this.#length
    this.#length = start
    this.#prefix(prefixBytes, end - start - prefixBytes)
    this.#length = end
    return this
  }

  #prefix(prefixBytes: PrefixBytes, length: number): this {
    if (length > MAX_LENGTH[prefixBytes]) {
      throw new RangeError(`A vector of ${length} bytes does not fit its ${prefixBytes}-byte length prefix`)
    }
    if (prefixBytes === 1) return this.uint8(length)
    return prefixBytes === 2 ? this.uint16(length) : this.uint24(length)
  }

  #reserve(extra: number): void {
    if (this.#length + extra <= this.#buffer.length) return
    const grown = passingBytes(Math.max(this.#buffer.length * 2, this.#length + extra))
    grown.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = grown
  }
}
