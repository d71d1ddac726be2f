import { concat } from '../bytes/bytes.ts'
import { readAll, type Reader } from '../bytes/reader.ts'
import { CryptoError } from './errors.ts'

/**
 * The little DER (X.690) that bare keys are made of: low tags, definite lengths, nothing that has two encodings.
 * Certificates are read by the layer above.
 */

export const DER_INTEGER = 0x02
export const DER_BIT_STRING = 0x03
export const DER_OCTET_STRING = 0x04
export const DER_SEQUENCE = 0x30

export interface DerElement {
  readonly tag: number
  readonly contents: Uint8Array
}

/** The elements that `bytes` consists of, one after the other. @throws CryptoError CRYPTO_INVALID_KEY, DecodeError */
export function readElements(bytes: Uint8Array): DerElement[] {
  return readAll(bytes, 'DER', (reader) => reader.each(readElement))
}

/** The elements of the one SEQUENCE that `bytes` consists of. @throws CryptoError CRYPTO_INVALID_KEY, DecodeError */
export function readSequence(bytes: Uint8Array, field: string): DerElement[] {
  const [sequence, ...more] = readElements(bytes)
  refuseMore(more, field)
  return readElements(contentsOf(sequence, DER_SEQUENCE, field))
}

/** @throws CryptoError CRYPTO_INVALID_KEY when `elements`, which are those left over, are any */
export function refuseMore(elements: readonly DerElement[], field: string): void {
  if (elements.length === 0) return
  throw new CryptoError('CRYPTO_INVALID_KEY', `${field} has ${elements.length} elements too many`)
}

/** The contents of `element`, which must be there and have `tag`. @throws CryptoError CRYPTO_INVALID_KEY */
export function contentsOf(element: DerElement | undefined, tag: number, field: string): Uint8Array {
  if (element?.tag === tag) return element.contents
  const found = element === undefined ? 'nothing' : `the tag 0x${element.tag.toString(16)}`
  throw new CryptoError(
    'CRYPTO_INVALID_KEY',
    `${field} must have the tag 0x${tag.toString(16)}, but there is ${found}`,
  )
}

/** A non-negative INTEGER, big-endian without leading zeros; zero is empty. @throws CryptoError CRYPTO_INVALID_KEY */
export function unsignedOf(element: DerElement | undefined, field: string): Uint8Array {
  const contents = contentsOf(element, DER_INTEGER, field)
  const [first, second] = contents
  if (first === undefined || first > 0x7f || (first === 0 && second !== undefined && second < 0x80))
    throw new CryptoError('CRYPTO_INVALID_KEY', `${field} is negative or not an integer in DER`)
  return first === 0 ? contents.subarray(1) : contents
}

/** The bytes of a BIT STRING without unused bits. @throws CryptoError CRYPTO_INVALID_KEY */
export function bitStringOf(element: DerElement | undefined, field: string): Uint8Array {
  const contents = contentsOf(element, DER_BIT_STRING, field)
  if (contents[0] !== 0)
    throw new CryptoError('CRYPTO_INVALID_KEY', `${field} must be a bit string of whole bytes`)
  return contents.subarray(1)
}

/** The contents of an explicit context tag that holds exactly one element. @throws CryptoError, DecodeError */
export function explicitOf(element: DerElement, field: string): DerElement {
  const [inner, ...more] = readElements(element.contents)
  if (inner !== undefined && more.length === 0) return inner
  throw new CryptoError('CRYPTO_INVALID_KEY', `${field} must hold one element`)
}

/** An element with `tag` around `parts`. */
export function encodeElement(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const contents = concat(...parts)
  const { length } = contents
  if (length > 0xffff) throw new RangeError(`A key's DER element has ${length} bytes, expected at most 65535`)
  const header =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff]
  return concat(new Uint8Array(header), contents)
}

/** An INTEGER from big-endian bytes without leading zeros. */
export function encodeUnsigned(unsigned: Uint8Array): Uint8Array<ArrayBuffer> {
  const [first = 0] = unsigned
  return encodeElement(
    DER_INTEGER,
    ...(first > 0x7f || unsigned.length === 0 ? [Uint8Array.of(0)] : []),
    unsigned,
  )
}

function readElement(reader: Reader): DerElement {
  const tag = reader.uint8('tag')
  if ((tag & 0x1f) === 0x1f)
    throw new CryptoError('CRYPTO_INVALID_KEY', 'A key has no use for a high tag number')
  return { tag, contents: reader.bytes(readLength(reader), 'contents') }
}

/** One to three bytes: no key that is accepted needs more. */
function readLength(reader: Reader): number {
  const first = reader.uint8('length')
  if (first < 0x80) return first
  const length = first === 0x81 ? reader.uint8('length') : first === 0x82 ? reader.uint16('length') : -1
  if (length >= (first === 0x81 ? 0x80 : 0x100)) return length
  throw new CryptoError(
    'CRYPTO_INVALID_KEY',
    'A length in the key is not in its shortest form, or beyond 65535',
  )
}
