import { equalBytes, toHex } from '../bytes/bytes.ts'
import { DecodeError } from '../bytes/errors.ts'
import {
  bitStringOf,
  contentsOf,
  DER_BIT_STRING,
  DER_SEQUENCE,
  type DerElement,
  encodeElement,
  encodeUnsigned,
  readSequence,
  refuseMore,
  unsignedOf,
} from './der.ts'
import { CryptoError } from './errors.ts'
import { checkMlDsaPublicKey, isMlDsa, ML_DSA_BYTES } from './ml-dsa-key.ts'
import type { KeyKind, MlDsaKind } from './provider.ts'

export type EcKind = 'ec-p256' | 'ec-p384' | 'ec-p521'

/** The field of each curve, in bytes; a private scalar is as long. */
export const EC_FIELD_BYTES: Readonly<Record<EcKind, number>> = {
  'ec-p256': 32,
  'ec-p384': 48,
  'ec-p521': 66,
}

/** Below it a modulus can be factored by a patient attacker; policy may well ask for more. */
const MIN_RSA_BITS = 1024

/** Above it one verification costs so much that a peer could use it to keep us busy. */
const MAX_RSA_BITS = 8192

/** Beyond 64 bits an exponent serves no purpose but to make verification slow. */
const MAX_RSA_EXPONENT_BYTES = 8

/** Big-endian numbers without leading zeros. */
export interface RsaPublicKeyParts {
  readonly kind: 'rsa'
  readonly modulus: Uint8Array
  readonly exponent: Uint8Array
}

/** A public key in its parts. Byte arrays are views of the input. */
export type PublicKeyParts =
  /** SEC1, uncompressed; not yet known to lie on the curve. */
  | { readonly kind: EcKind; readonly point: Uint8Array }
  /** RFC 8032, 32 bytes. */
  | { readonly kind: 'ed25519'; readonly point: Uint8Array }
  /** FIPS 204 §7.2, pkEncode. */
  | { readonly kind: MlDsaKind; readonly publicKey: Uint8Array }
  | RsaPublicKeyParts

/** Each AlgorithmIdentifier that is understood (RFC 3279 §2.3.1, RFC 5480 §2.1.1, RFC 8410 §3, RFC 9881 §2): its contents. */
export const ALGORITHMS: Readonly<Record<KeyKind, Uint8Array>> = {
  'ec-p256': Uint8Array.fromHex('06072a8648ce3d020106082a8648ce3d030107'),
  'ec-p384': Uint8Array.fromHex('06072a8648ce3d020106052b81040022'),
  'ec-p521': Uint8Array.fromHex('06072a8648ce3d020106052b81040023'),
  ed25519: Uint8Array.fromHex('06032b6570'),
  'ml-dsa-44': Uint8Array.fromHex('0609608648016503040311'),
  'ml-dsa-65': Uint8Array.fromHex('0609608648016503040312'),
  'ml-dsa-87': Uint8Array.fromHex('0609608648016503040313'),
  rsa: Uint8Array.fromHex('06092a864886f70d0101010500'),
}

const SEC1_UNCOMPRESSED = 0x04
const ED25519_BYTES = 32

/** Reads a SubjectPublicKeyInfo. @throws CryptoError CRYPTO_INVALID_KEY, CRYPTO_UNSUPPORTED */
export function decodeSpki(spki: Uint8Array): PublicKeyParts {
  return readingKey('The SubjectPublicKeyInfo', () => {
    const [algorithm, bits, ...more] = readSequence(spki, 'SubjectPublicKeyInfo')
    const kind = readAlgorithm(algorithm)
    const key = bitStringOf(bits, 'subjectPublicKey')
    refuseMore(more, 'SubjectPublicKeyInfo')
    if (kind === 'rsa') return readRsaPublicKey(readSequence(key, 'RSAPublicKey'))
    if (isMlDsa(kind)) return { kind, publicKey: checkMlDsaPublicKey(kind, key) }
    return { kind, point: kind === 'ed25519' ? checkEd25519(key, 'key') : checkPoint(kind, key) }
  })
}

/** A SubjectPublicKeyInfo around a point, or whatever else the kind has for a public key. */
export function encodeSpki(kind: Exclude<KeyKind, 'rsa'>, publicKey: Uint8Array): Uint8Array<ArrayBuffer> {
  return encodeElement(
    DER_SEQUENCE,
    encodeElement(DER_SEQUENCE, ALGORITHMS[kind]),
    encodeElement(DER_BIT_STRING, Uint8Array.of(0), publicKey),
  )
}

/** A SubjectPublicKeyInfo around an RSA key (RFC 3279 §2.3.1). */
export function encodeRsaSpki({ modulus, exponent }: RsaPublicKeyParts): Uint8Array<ArrayBuffer> {
  const key = encodeElement(DER_SEQUENCE, encodeUnsigned(modulus), encodeUnsigned(exponent))
  return encodeElement(
    DER_SEQUENCE,
    encodeElement(DER_SEQUENCE, ALGORITHMS.rsa),
    encodeElement(DER_BIT_STRING, Uint8Array.of(0), key),
  )
}

/** The length of a public key within its SubjectPublicKeyInfo. */
export function publicKeyBytes(kind: Exclude<KeyKind, 'rsa'>): number {
  if (isMlDsa(kind)) return ML_DSA_BYTES[kind].publicKey
  return kind === 'ed25519' ? ED25519_BYTES : 1 + 2 * EC_FIELD_BYTES[kind]
}

/** The size of a key in bits, as {@link PublicKey.bits} has it. */
export function bitsOf(parts: PublicKeyParts): number {
  switch (parts.kind) {
    case 'ec-p256':
      return 256
    case 'ec-p384':
      return 384
    case 'ec-p521':
      return 521
    case 'ed25519':
      return 255
    case 'ml-dsa-44':
    case 'ml-dsa-65':
    case 'ml-dsa-87':
      return 8 * parts.publicKey.length
    case 'rsa':
      return bitLength(parts.modulus)
  }
}

/** Of a big-endian number without leading zeros. */
function bitLength(unsigned: Uint8Array): number {
  return unsigned.length === 0 ? 0 : 8 * unsigned.length - Math.clz32(unsigned[0]!) + 24
}

/** What `read` returns; what the readers of bytes report becomes an error of this layer. @throws CryptoError */
export function readingKey<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw new CryptoError('CRYPTO_INVALID_KEY', `${what} is malformed: ${error.message}`, { cause: error })
  }
}

/** Which of the {@link ALGORITHMS} it is. @throws CryptoError CRYPTO_UNSUPPORTED */
export function readAlgorithm(element: DerElement | undefined): KeyKind {
  const contents = contentsOf(element, DER_SEQUENCE, 'AlgorithmIdentifier')
  for (const [kind, algorithm] of Object.entries(ALGORITHMS) as [KeyKind, Uint8Array][])
    if (equalBytes(contents, algorithm)) return kind
  throw new CryptoError('CRYPTO_UNSUPPORTED', `No key with the algorithm ${toHex(contents)} is supported`)
}

/**
 * Only the uncompressed form: TLS and the CA/Browser Forum know no other, and one point then has one encoding.
 *
 * @throws CryptoError CRYPTO_INVALID_KEY
 */
export function checkPoint(kind: EcKind, point: Uint8Array): Uint8Array {
  const expected = publicKeyBytes(kind)
  if (point.length === expected && point[0] === SEC1_UNCOMPRESSED) return point
  throw new CryptoError(
    'CRYPTO_INVALID_KEY',
    `The point has ${point.length} bytes and the form ${point[0]}, expected ${expected} bytes uncompressed`,
  )
}

/** A public key, or a seed. @throws CryptoError CRYPTO_INVALID_KEY */
export function checkEd25519(bytes: Uint8Array, what: string): Uint8Array {
  if (bytes.length === ED25519_BYTES) return bytes
  throw new CryptoError('CRYPTO_INVALID_KEY', `The Ed25519 ${what} has ${bytes.length} bytes, expected 32`)
}

function readRsaPublicKey([modulus, exponent, ...more]: readonly DerElement[]): PublicKeyParts {
  refuseMore(more, 'RSAPublicKey')
  return checkRsa(unsignedOf(modulus, 'modulus'), unsignedOf(exponent, 'publicExponent'))
}

/** @throws CryptoError CRYPTO_INVALID_KEY for a size or an exponent that is not to be worked with */
export function checkRsa(modulus: Uint8Array, exponent: Uint8Array): RsaPublicKeyParts {
  const bits = bitLength(modulus)
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) {
    throw new CryptoError(
      'CRYPTO_INVALID_KEY',
      `The RSA modulus has ${bits} bits, expected ${MIN_RSA_BITS} to ${MAX_RSA_BITS}`,
    )
  }
  if (!isOdd(modulus)) throw new CryptoError('CRYPTO_INVALID_KEY', 'The RSA modulus is even')
  if (!isOdd(exponent) || bitLength(exponent) < 2 || exponent.length > MAX_RSA_EXPONENT_BYTES)
    throw new CryptoError('CRYPTO_INVALID_KEY', 'The RSA exponent is even, below 3 or above 64 bits')
  return { kind: 'rsa', modulus, exponent }
}

function isOdd(unsigned: Uint8Array): boolean {
  return ((unsigned.at(-1) ?? 0) & 1) === 1
}
