/**
 * A reader of DER (X.690), as strict as X.509 needs: definite minimal lengths, low tag numbers, canonical
 * values, bounded nesting, and no byte left over. It works on views and copies nothing.
 */
import { CertificateError } from './errors.ts'

/** Universal tags, with the constructed bit where DER demands it. */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const

/** The context-specific tag of a primitive field, e.g. `[2] IMPLICIT IA5String`. */
export function contextPrimitive(number: number): number {
  return 0x80 | number
}

/** The context-specific tag of a constructed or EXPLICIT field. */
export function contextConstructed(number: number): number {
  return 0xa0 | number
}

/** A certificate nests 8 to 10 levels; the rest is room for names within names. */
const MAX_DEPTH = 24

/** The longest object identifier in use (2.25 with a UUID) has 20 bytes. */
const MAX_OID_BYTES = 64

export interface DerElement {
  readonly tag: number
  readonly contents: Uint8Array
  /** With tag and length. */
  readonly der: Uint8Array
}

export interface BitString {
  /** 0 to 7 bits of the last byte that do not count; they are zero. */
  readonly unusedBits: number
  readonly bytes: Uint8Array
}

/**
 * A cursor over DER. Constructed values are read through closures that must consume them to the end.
 *
 * Every method throws CertificateError PKI_MALFORMED, naming the field and its offset in the whole input.
 */
export class DerReader {
  readonly #bytes: Uint8Array
  readonly #end: number
  readonly #field: string
  readonly #parent: DerReader | undefined
  readonly #depth: number
  #offset: number

  private constructor(bytes: Uint8Array, start: number, end: number, field: string, parent?: DerReader) {
    this.#bytes = bytes
    this.#offset = start
    this.#end = end
    this.#field = field
    this.#parent = parent
    this.#depth = parent === undefined ? 0 : parent.#depth + 1
  }

  /** Reads all of `bytes` with `read`, under the name `field`. */
  static readAll<T>(bytes: Uint8Array, field: string, read: (reader: DerReader) => T): T {
    return new DerReader(bytes, 0, bytes.length, field).#finish(read)
  }

  /**
   * Reads all of `part`, a view into `whole`, with `read`; offsets in errors count from the start of `whole`.
   *
   * @throws CertificateError PKI_MALFORMED
   */
  static readPart<T>(
    whole: Uint8Array,
    part: Uint8Array,
    { field, read }: { readonly field: string; readonly read: (reader: DerReader) => T },
  ): T {
    const start = part.byteOffset - whole.byteOffset
    return new DerReader(whole, start, start + part.length, field).#finish(read)
  }

  /** Whether anything is left. */
  get more(): boolean {
    return this.#offset < this.#end
  }

  /** The position in the whole input, in bytes. */
  get offset(): number {
    return this.#offset
  }

  /** What was read since `start`, an earlier {@link offset}. */
  since(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.#offset)
  }

  /** Whether the next element has this tag. */
  next(tag: number): boolean {
    return this.#offset < this.#end && this.#bytes[this.#offset] === tag
  }

  /** Everything that is left, unread. */
  rest(): Uint8Array {
    const rest = this.#bytes.subarray(this.#offset, this.#end)
    this.#offset = this.#end
    return rest
  }

  /** The next element, whatever it is. */
  any(field: string): DerElement {
    const start = this.#offset
    const tag = this.more ? this.#bytes[start]! : this.fail(field, 'is missing')
    if ((tag & 0x1f) === 0x1f) this.fail(field, 'has a tag number above 30', start)
    const contents = this.element(tag, field)
    return { tag, contents, der: this.#bytes.subarray(start, this.#offset) }
  }

  /** The contents of the next element, which has this tag. */
  element(tag: number, field: string): Uint8Array {
    const end = this.#header(tag, field)
    const contents = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return contents
  }

  /** Reads a constructed element with `read`, which must consume it. */
  constructed<T>(tag: number, field: string, read: (contents: DerReader) => T): T {
    const end = this.#header(tag, field)
    if (this.#depth >= MAX_DEPTH) this.fail(field, `is nested deeper than ${MAX_DEPTH} levels`)
    const contents = new DerReader(this.#bytes, this.#offset, end, field, this)
    const value = contents.#finish(read)
    this.#offset = end
    return value
  }

  sequence<T>(field: string, read: (contents: DerReader) => T): T {
    return this.constructed(Tag.sequence, field, read)
  }

  /** A SEQUENCE OF at least one element, or any other constructed list. */
  list<T>(tag: number, field: string, read: (contents: DerReader) => T): T[] {
    return this.constructed(tag, field, (contents) => {
      const items: T[] = []
      while (contents.more) items.push(read(contents))
      if (items.length === 0) this.fail(field, 'is an empty list')
      return items
    })
  }

  /** Reads the DER inside an OCTET STRING with `read`, which must consume it. */
  encapsulated<T>(field: string, read: (contents: DerReader) => T): T {
    return this.constructed(Tag.octetString, field, read)
  }

  boolean(field: string, tag: number = Tag.boolean): boolean {
    const contents = this.element(tag, field)
    if (contents.length === 1 && contents[0] === 0xff) return true
    if (contents.length === 1 && contents[0] === 0x00) return false
    return this.fail(field, 'is not a BOOLEAN of 00 or FF')
  }

  /** A BOOLEAN that DER leaves out when it is false (X.690 §11.5). */
  booleanDefaultFalse(field: string): boolean {
    if (!this.next(Tag.boolean)) return false
    return this.boolean(field) || this.fail(field, 'encodes its default value')
  }

  /** An INTEGER as its two's complement bytes, in the fewest bytes (X.690 §8.3.2). */
  integer(field: string, tag: number = Tag.integer): Uint8Array {
    const contents = this.element(tag, field)
    const [first, second] = contents
    if (first === undefined) return this.fail(field, 'is an INTEGER of no bytes')
    if (second !== undefined && (first === 0x00 ? second < 0x80 : first === 0xff && second >= 0x80))
      this.fail(field, 'is an INTEGER with a needless leading byte')
    return contents
  }

  /** An INTEGER between 0 and `max`, which lies below 2^31. */
  smallInteger(field: string, max: number, tag: number = Tag.integer): number {
    const contents = this.integer(field, tag)
    const value = contents.length > 4 ? Infinity : contents.reduce((sum, byte) => sum * 256 + byte, 0)
    if (contents[0]! >= 0x80 || value > max) this.fail(field, `lies outside 0 to ${max}`)
    return value
  }

  bitString(field: string, tag: number = Tag.bitString): BitString {
    const contents = this.element(tag, field)
    const unusedBits = contents[0]
    if (unusedBits === undefined || unusedBits > 7) return this.fail(field, 'is not a BIT STRING')
    if (unusedBits > 0) {
      if (contents.length === 1) this.fail(field, 'is an empty BIT STRING with unused bits')
      if ((contents.at(-1)! & ((1 << unusedBits) - 1)) !== 0)
        this.fail(field, 'is a BIT STRING whose unused bits are not zero')
    }
    return { unusedBits, bytes: contents.subarray(1) }
  }

  /** A BIT STRING of whole bytes. */
  bitStringBytes(field: string, tag: number = Tag.bitString): Uint8Array {
    const { unusedBits, bytes } = this.bitString(field, tag)
    if (unusedBits !== 0) this.fail(field, 'is a BIT STRING that is not of whole bytes')
    return bytes
  }

  octetString(field: string): Uint8Array {
    return this.element(Tag.octetString, field)
  }

  null(field: string): void {
    if (this.element(Tag.null, field).length !== 0) this.fail(field, 'is a NULL with contents')
  }

  /** An OBJECT IDENTIFIER in dotted decimal. */
  oid(field: string, tag: number = Tag.oid): string {
    const contents = this.element(tag, field)
    const last = contents.at(-1)
    if (last === undefined || last >= 0x80 || contents.length > MAX_OID_BYTES)
      this.fail(field, 'is not a whole OBJECT IDENTIFIER')
    return oidText(contents) ?? this.fail(field, 'is an OBJECT IDENTIFIER with a needless leading byte')
  }

  /** Characters of 7 bits, without NUL; `tag` may be a context tag. */
  ia5String(field: string, tag: number = Tag.ia5String): string {
    const contents = this.element(tag, field)
    let text = ''
    for (const byte of contents) {
      if (byte === 0 || byte > 0x7f) this.fail(field, 'has a byte that is not ASCII')
      text += String.fromCharCode(byte)
    }
    return text
  }

  /** @throws CertificateError PKI_MALFORMED, always */
  fail(field: string, problem: string, offset: number = this.#offset): never {
    throw new CertificateError('PKI_MALFORMED', `${this.#path(field)} at byte ${offset} ${problem}`)
  }

  #finish<T>(read: (reader: DerReader) => T): T {
    const value = read(this)
    if (this.more) {
      const left = this.#end - this.#offset
      throw new CertificateError(
        'PKI_MALFORMED',
        `${this.#path()} has ${left} bytes after its last field, at byte ${this.#offset}`,
      )
    }
    return value
  }

  /** Consumes tag and length and returns where the contents end. */
  #header(tag: number, field: string): number {
    const start = this.#offset
    const bytes = this.#bytes
    if (start >= this.#end) this.fail(field, 'is missing')
    if (bytes[start] !== tag)
      this.fail(field, `has tag 0x${hexByte(bytes[start]!)}, expected 0x${hexByte(tag)}`)
    if (start + 1 >= this.#end) this.fail(field, 'ends before its length')
    let length = bytes[start + 1]!
    let offset = start + 2
    if (length >= 0x80) {
      const lengthBytes = length & 0x7f
      if (lengthBytes === 0) this.fail(field, 'has an indefinite length')
      if (lengthBytes > 3) this.fail(field, 'has a length of more than three bytes')
      if (offset + lengthBytes > this.#end) this.fail(field, 'ends before its length')
      length = 0
      for (let i = 0; i < lengthBytes; i++) length = length * 256 + bytes[offset++]!
      if (length < 0x80 || length < 2 ** (8 * (lengthBytes - 1)))
        this.fail(field, 'has a length that is not in its shortest form')
    }
    if (length > this.#end - offset)
      this.fail(field, `announces ${length} bytes, but ${this.#end - offset} are left`)
    this.#offset = offset
    return offset + length
  }

  #path(field?: string): string {
    const own = this.#parent === undefined ? this.#field : this.#parent.#path(this.#field)
    return field === undefined ? own : `${own}.${field}`
  }
}

/** Undefined when an arc begins with a needless zero (X.690 §8.19.2). */
function oidText(contents: Uint8Array): string | undefined {
  let text = ''
  let arc = 0n
  let small = 0
  let fresh = true
  for (const byte of contents) {
    if (fresh && byte === 0x80) return undefined
    fresh = false
    if (small < 2 ** 40) small = small * 128 + (byte & 0x7f)
    else arc = (arc === 0n ? BigInt(small) : arc) * 128n + BigInt(byte & 0x7f)
    if (byte >= 0x80) continue
    if (text !== '') text += `.${arc === 0n ? small : arc}`
    else if (small < 80) text = `${Math.floor(small / 40)}.${small % 40}`
    else text = `2.${arc === 0n ? small - 80 : arc - 80n}`
    arc = 0n
    small = 0
    fresh = true
  }
  return text
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}
