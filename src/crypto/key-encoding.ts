import { concat, equalBytes, toHex } from '../bytes/bytes.ts'
import { DecodeError } from '../bytes/errors.ts'
import {
  bitStringOf,
  contentsOf,
  DER_BIT_STRING,
  DER_OCTET_STRING,
  DER_SEQUENCE,
  type DerElement,
  encodeElement,
  encodeUnsigned,
  explicitOf,
  readElements,
  unsignedOf,
} from './der.ts'
import { CryptoError } from './errors.ts'
import type { KeyKind } from './provider.ts'

export type EcKind = 'ec-p256' | 'ec-p384' | 'ec-p521'

/** The field of each curve, in bytes; a private scalar is as long. */
export const EC_FIELD_BYTES: Readonly<Record<EcKind, number>> = {
  'ec-p256': 32,
  'ec-p384': 48,
  'ec-p521': 66,
}

/** The order of each curve's group: private scalars lie between 0 and it, both excluded (FIPS 186-5, SP 800-186). */
const EC_ORDERS: Readonly<Record<EcKind, bigint>> = {
  'ec-p256': 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  'ec-p384':
    0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  'ec-p521':
    0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
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
  | RsaPublicKeyParts

/** A private key in its parts. Byte arrays are views of the input. */
export type PrivateKeyParts =
  /** `point` is what the encoding claims the public key to be, where it says so. */
  | { readonly kind: EcKind; readonly scalar: Uint8Array; readonly point: Uint8Array | undefined }
  | { readonly kind: 'ed25519'; readonly seed: Uint8Array; readonly point: Uint8Array | undefined }
  /** The public half only: nothing in here calculates with a private RSA key. */
  | RsaPublicKeyParts

/** The contents of each AlgorithmIdentifier that is understood (RFC 3279 §2.3.1, RFC 5480 §2.1.1, RFC 8410 §3). */
const ALGORITHMS: Readonly<Record<KeyKind, Uint8Array>> = {
  'ec-p256': Uint8Array.fromHex('06072a8648ce3d020106082a8648ce3d030107'),
  'ec-p384': Uint8Array.fromHex('06072a8648ce3d020106052b81040022'),
  'ec-p521': Uint8Array.fromHex('06072a8648ce3d020106052b81040023'),
  ed25519: Uint8Array.fromHex('06032b6570'),
  rsa: Uint8Array.fromHex('06092a864886f70d0101010500'),
}

/** The whole identifier id-ecPublicKey, with its tag and length. */
const ID_EC_PUBLIC_KEY_BYTES = 9

const SEC1_UNCOMPRESSED = 0x04
const ED25519_BYTES = 32

const PKCS8_VERSION_1 = encodeElement(0x02, Uint8Array.of(0))
const EC_PRIVATE_KEY_VERSION = encodeElement(0x02, Uint8Array.of(1))

/** Reads a SubjectPublicKeyInfo. @throws CryptoError CRYPTO_INVALID_KEY, CRYPTO_UNSUPPORTED */
export function decodeSpki(spki: Uint8Array): PublicKeyParts {
  return reading('The SubjectPublicKeyInfo', () => {
    const [algorithm, bits, ...more] = readSequence(spki, 'SubjectPublicKeyInfo')
    const kind = readAlgorithm(algorithm)
    const key = bitStringOf(bits, 'subjectPublicKey')
    refuseMore(more, 'SubjectPublicKeyInfo')
    if (kind === 'rsa') return readRsaPublicKey(readSequence(key, 'RSAPublicKey'))
    return { kind, point: kind === 'ed25519' ? checkEd25519(key, 'key') : checkPoint(kind, key) }
  })
}

/** A SubjectPublicKeyInfo around a point. */
export function encodeSpki(kind: EcKind | 'ed25519', point: Uint8Array): Uint8Array<ArrayBuffer> {
  return encodeElement(
    DER_SEQUENCE,
    encodeElement(DER_SEQUENCE, ALGORITHMS[kind]),
    encodeElement(DER_BIT_STRING, Uint8Array.of(0), point),
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

/** Reads a PrivateKeyInfo (RFC 5958, versions 1 and 2). @throws CryptoError CRYPTO_INVALID_KEY, CRYPTO_UNSUPPORTED */
export function decodePkcs8(pkcs8: Uint8Array): PrivateKeyParts {
  return reading('The PKCS#8 key', () => {
    const [version, algorithm, octets, ...optional] = readSequence(pkcs8, 'PrivateKeyInfo')
    if ((unsignedOf(version, 'version')[0] ?? 0) > 1)
      throw new CryptoError('CRYPTO_UNSUPPORTED', 'The PKCS#8 key is of a version other than 1 and 2')
    const kind = readAlgorithm(algorithm)
    const key = contentsOf(octets, DER_OCTET_STRING, 'privateKey')
    // [0] attributes carry nothing that matters here; [1] is the public key, implicitly tagged.
    const publicKey = optional.find(({ tag }) => tag === 0x81)
    const point = publicKey && bitStringOf({ ...publicKey, tag: DER_BIT_STRING }, 'publicKey')
    refuseMore(
      optional.filter(({ tag }) => tag !== 0xa0 && tag !== 0x81),
      'PrivateKeyInfo',
    )
    if (kind === 'rsa') return readRsaPrivateKey(readSequence(key, 'RSAPrivateKey'))
    if (kind === 'ed25519') {
      const [seed, ...more] = readElements(key)
      refuseMore(more, 'CurvePrivateKey')
      return { kind, seed: checkEd25519(contentsOf(seed, DER_OCTET_STRING, 'seed'), 'seed'), point }
    }
    return readEcPrivateKey(kind, readSequence(key, 'ECPrivateKey'))
  })
}

/** A PrivateKeyInfo of version 1. EC keys carry their `point` along (RFC 5915), as OpenSSL writes them. */
export function encodePkcs8(
  kind: EcKind | 'ed25519',
  secret: Uint8Array,
  point?: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const octets = encodeElement(DER_OCTET_STRING, secret)
  const publicKey =
    point === undefined ? [] : [encodeElement(0xa1, encodeElement(DER_BIT_STRING, Uint8Array.of(0), point))]
  const key =
    kind === 'ed25519' ? octets : encodeElement(DER_SEQUENCE, EC_PRIVATE_KEY_VERSION, octets, ...publicKey)
  return encodeElement(
    DER_SEQUENCE,
    PKCS8_VERSION_1,
    encodeElement(DER_SEQUENCE, ALGORITHMS[kind]),
    encodeElement(DER_OCTET_STRING, key),
  )
}

/** The length of a public key within its SubjectPublicKeyInfo. */
export function publicKeyBytes(kind: EcKind | 'ed25519'): number {
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
    case 'rsa':
      return bitLength(parts.modulus)
  }
}

/** Of a big-endian number without leading zeros. */
function bitLength(unsigned: Uint8Array): number {
  return unsigned.length === 0 ? 0 : 8 * unsigned.length - Math.clz32(unsigned[0]!) + 24
}

/** Turns what the readers below report into an error of this layer. */
function reading<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw new CryptoError('CRYPTO_INVALID_KEY', `${what} is malformed: ${error.message}`, { cause: error })
  }
}

function readSequence(bytes: Uint8Array, field: string): DerElement[] {
  const [sequence, ...more] = readElements(bytes)
  refuseMore(more, field)
  return readElements(contentsOf(sequence, DER_SEQUENCE, field))
}

function readAlgorithm(element: DerElement | undefined): KeyKind {
  const contents = contentsOf(element, DER_SEQUENCE, 'AlgorithmIdentifier')
  for (const [kind, algorithm] of Object.entries(ALGORITHMS) as [KeyKind, Uint8Array][])
    if (equalBytes(contents, algorithm)) return kind
  throw new CryptoError('CRYPTO_UNSUPPORTED', `No key with the algorithm ${toHex(contents)} is supported`)
}

/** Only the uncompressed form: TLS and the CA/Browser Forum know no other, and one point then has one encoding. */
function checkPoint(kind: EcKind, point: Uint8Array): Uint8Array {
  const expected = publicKeyBytes(kind)
  if (point.length === expected && point[0] === SEC1_UNCOMPRESSED) return point
  throw new CryptoError(
    'CRYPTO_INVALID_KEY',
    `The point has ${point.length} bytes and the form ${point[0]}, expected ${expected} bytes uncompressed`,
  )
}

function checkEd25519(bytes: Uint8Array, what: string): Uint8Array {
  if (bytes.length === ED25519_BYTES) return bytes
  throw new CryptoError('CRYPTO_INVALID_KEY', `The Ed25519 ${what} has ${bytes.length} bytes, expected 32`)
}

function readEcPrivateKey(kind: EcKind, elements: readonly DerElement[]): PrivateKeyParts {
  const [version, octets, ...optional] = elements
  if (unsignedOf(version, 'version')[0] !== 1)
    throw new CryptoError('CRYPTO_INVALID_KEY', 'The ECPrivateKey is of a version other than 1')
  const scalar = checkScalar(kind, contentsOf(octets, DER_OCTET_STRING, 'privateKey'))
  const parameters = optional[0]?.tag === 0xa0 ? explicitOf(optional.shift()!, 'parameters') : undefined
  const publicKey = optional[0]?.tag === 0xa1 ? explicitOf(optional.shift()!, 'publicKey') : undefined
  refuseMore(optional, 'ECPrivateKey')
  if (parameters !== undefined && !namesCurve(kind, parameters))
    throw new CryptoError('CRYPTO_INVALID_KEY', 'The ECPrivateKey names another curve than its envelope')
  return { kind, scalar, point: publicKey && checkPoint(kind, bitStringOf(publicKey, 'publicKey')) }
}

/** As many bytes as the field has: some old encoders drop leading zeros. */
function checkScalar(kind: EcKind, scalar: Uint8Array): Uint8Array {
  const size = EC_FIELD_BYTES[kind]
  const value = BigInt(`0x0${scalar.toHex()}`)
  if (scalar.length > size || value === 0n || value >= EC_ORDERS[kind])
    throw new CryptoError(
      'CRYPTO_INVALID_KEY',
      'The private scalar is zero, or not below the order of its curve',
    )
  return scalar.length === size ? scalar : concat(new Uint8Array(size - scalar.length), scalar)
}

/** The curve's identifier is what follows id-ecPublicKey in the algorithm. */
function namesCurve(kind: EcKind, { tag, contents }: DerElement): boolean {
  return equalBytes(ALGORITHMS[kind].subarray(ID_EC_PUBLIC_KEY_BYTES), encodeElement(tag, contents))
}

function readRsaPrivateKey([version, modulus, exponent]: readonly DerElement[]): PrivateKeyParts {
  if (unsignedOf(version, 'version').length > 0)
    throw new CryptoError('CRYPTO_UNSUPPORTED', 'The RSA key has more than two primes')
  return checkRsa(unsignedOf(modulus, 'modulus'), unsignedOf(exponent, 'publicExponent'))
}

function readRsaPublicKey([modulus, exponent, ...more]: readonly DerElement[]): PublicKeyParts {
  refuseMore(more, 'RSAPublicKey')
  return checkRsa(unsignedOf(modulus, 'modulus'), unsignedOf(exponent, 'publicExponent'))
}

function checkRsa(modulus: Uint8Array, exponent: Uint8Array): RsaPublicKeyParts {
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

function refuseMore(elements: readonly DerElement[], field: string): void {
  if (elements.length === 0) return
  throw new CryptoError('CRYPTO_INVALID_KEY', `${field} has ${elements.length} elements too many`)
}
