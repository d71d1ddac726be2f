import { DecodeError } from './errors.ts'

/** The bounds of a length-prefixed field, in bytes, both inclusive. */
export interface LengthBounds {
  /** @default 0 */
  readonly min?: number
  /** @default what the prefix can express */
  readonly max?: number
}

/**
 * A cursor over big-endian bytes that cannot read past the end and cannot forget what is left.
 *
 * Every read names its field for the error. Sub-fields are read through closures by {@link vector8},
 * {@link vector16} and {@link vector24}, which insist that the closure consumes exactly its bytes: while it runs, the
 * reader ends where they do.
 */
export class Reader {
  readonly #bytes: Uint8Array
  #offset = 0
  #end: number

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#end = bytes.length
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#end - this.#offset
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset
  }

  /** @throws DecodeError BYTES_TRUNCATED */
  uint8(field: string): number {
    this.#need(1, field)
    return this.#bytes[this.#offset++]!
  }

  /** @throws DecodeError BYTES_TRUNCATED */
  uint16(field: string): number {
    this.#need(2, field)
    const high = this.#bytes[this.#offset++]!
    return (high << 8) | this.#bytes[this.#offset++]!
  }

  /** @throws DecodeError BYTES_TRUNCATED */
  uint24(field: string): number {
    this.#need(3, field)
    const high = this.#bytes[this.#offset++]!
    return (high << 16) | this.uint16(field)
  }

  /** @throws DecodeError BYTES_TRUNCATED */
  uint32(field: string): number {
    this.#need(4, field)
    return this.uint16(field) * 0x1_0000 + this.uint16(field)
  }

  /** The next `length` bytes, as a view of the input. @throws DecodeError BYTES_TRUNCATED */
  bytes(length: number, field: string): Uint8Array {
    this.#need(length, field)
    const view = this.#bytes.subarray(this.#offset, this.#offset + length)
    this.#offset += length
    return view
  }

  /** Everything that is left, as a view of the input. */
  rest(): Uint8Array {
    return this.bytes(this.remaining, 'rest')
  }

  /** The contents behind a one-byte length. @throws DecodeError */
  bytes8(field: string, bounds?: LengthBounds): Uint8Array {
    return this.bytes(checkLength(this.uint8(field), field, bounds), field)
  }

  /** The contents behind a two-byte length. @throws DecodeError */
  bytes16(field: string, bounds?: LengthBounds): Uint8Array {
    return this.bytes(checkLength(this.uint16(field), field, bounds), field)
  }

  /** The contents behind a three-byte length. @throws DecodeError */
  bytes24(field: string, bounds?: LengthBounds): Uint8Array {
    return this.bytes(checkLength(this.uint24(field), field, bounds), field)
  }

  /** Reads the contents behind a one-byte length with `read`, which must consume them all. @throws DecodeError */
  vector8<T>(field: string, read: (contents: this) => T, bounds?: LengthBounds): T {
    return this.#within(this.uint8(field), field, read, bounds)
  }

  /** Reads the contents behind a two-byte length with `read`, which must consume them all. @throws DecodeError */
  vector16<T>(field: string, read: (contents: this) => T, bounds?: LengthBounds): T {
    return this.#within(this.uint16(field), field, read, bounds)
  }

  /** Reads the contents behind a three-byte length with `read`, which must consume them all. @throws DecodeError */
  vector24<T>(field: string, read: (contents: this) => T, bounds?: LengthBounds): T {
    return this.#within(this.uint24(field), field, read, bounds)
  }

  /** Applies `read` until nothing is left. `read` must consume at least one byte each time. */
  each<T>(read: (reader: this) => T): T[] {
    const items: T[] = []
    while (this.remaining > 0) items.push(read(this))
    return items
  }

  #within<T>(length: number, field: string, read: (contents: this) => T, bounds?: LengthBounds): T {
    checkLength(length, field, bounds)
    this.#need(length, field)
    const outerEnd = this.#end
    this.#end = this.#offset + length
    const value = read(this)
    checkEnd(this, field)
    this.#end = outerEnd
    return value
  }

  #need(length: number, field: string): void {
    if (this.#end - this.#offset >= length) return
    throw new DecodeError('BYTES_TRUNCATED', `${field} needs ${length} bytes, but ${this.remaining} are left`)
  }
}

/**
 * Reads all of `bytes` with `read`.
 *
 * @throws DecodeError BYTES_TRAILING when `read` leaves bytes over, and whatever `read` throws
 */
export function readAll<T>(bytes: Uint8Array, field: string, read: (reader: Reader) => T): T {
  const reader = new Reader(bytes)
  const value = read(reader)
  checkEnd(reader, field)
  return value
}

function checkEnd({ remaining }: Reader, field: string): void {
  if (remaining === 0) return
  throw new DecodeError('BYTES_TRAILING', `${field} has ${remaining} bytes after its last field`)
}

const ANY_LENGTH: LengthBounds = {}

function checkLength(
  length: number,
  field: string,
  { min = 0, max = Infinity }: LengthBounds = ANY_LENGTH,
): number {
  if (length >= min && length <= max) return length
  throw new DecodeError('BYTES_LENGTH', `${field} has a length of ${length}, expected ${min} to ${max}`)
}
