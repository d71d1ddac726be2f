import { concat, equalBytes } from '../bytes/bytes.ts'
import {
  bitStringOf,
  contentsOf,
  DER_BIT_STRING,
  DER_INTEGER,
  DER_OCTET_STRING,
  DER_SEQUENCE,
  type DerElement,
  encodeElement,
  explicitOf,
  readElements,
  readSequence,
  refuseMore,
  unsignedOf,
} from './der.ts'
import { CryptoError } from './errors.ts'
import {
  ALGORITHMS,
  checkEd25519,
  checkPoint,
  checkRsa,
  EC_FIELD_BYTES,
  type EcKind,
  readAlgorithm,
  readingKey,
  type RsaPublicKeyParts,
} from './key-encoding.ts'
import { encodeMlDsaSecret, isMlDsa, type MlDsaSecret, readMlDsaSecret } from './ml-dsa-key.ts'
import type { KeyKind, MlDsaKind } from './provider.ts'

/** A private key in its parts. Byte arrays are views of the input. */
export type PrivateKeyParts =
  /** `point` is what the encoding claims the public key to be, where it says so. */
  | { readonly kind: EcKind; readonly scalar: Uint8Array; readonly point: Uint8Array | undefined }
  | { readonly kind: 'ed25519'; readonly seed: Uint8Array; readonly point: Uint8Array | undefined }
  | {
      readonly kind: MlDsaKind
      readonly secret: MlDsaSecret
      /** As `point`. */
      readonly publicKey: Uint8Array | undefined
    }
  /** The public half only: nothing in here calculates with a private RSA key. */
  | RsaPublicKeyParts

/** The order of each curve's group: private scalars lie between 0 and it, both excluded (FIPS 186-5, SP 800-186). */
const EC_ORDERS: Readonly<Record<EcKind, bigint>> = {
  'ec-p256': 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  'ec-p384':
    0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  'ec-p521':
    0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
}

/** The whole identifier id-ecPublicKey, with its tag and length. */
const ID_EC_PUBLIC_KEY_BYTES = 9

/** [0] and [1] of PrivateKeyInfo. */
const TAG_ATTRIBUTES = 0xa0
const TAG_PUBLIC_KEY = 0x81

/** [0] and [1] of ECPrivateKey. */
const TAG_EC_PARAMETERS = 0xa0
const TAG_EC_PUBLIC_KEY = 0xa1

/** d, p, q, dP, dQ and qInv (RFC 8017 §A.1.2). */
const RSA_SECRETS = 6

const PRIVATE_KEY_INFO_VERSION = encodeElement(DER_INTEGER, Uint8Array.of(0))
const EC_PRIVATE_KEY_VERSION = encodeElement(DER_INTEGER, Uint8Array.of(1))

/** Reads a PrivateKeyInfo (RFC 5958, versions 1 and 2). @throws CryptoError CRYPTO_INVALID_KEY, CRYPTO_UNSUPPORTED */
export function decodePkcs8(pkcs8: Uint8Array): PrivateKeyParts {
  return readingKey('The PKCS#8 key', () => {
    const [version, algorithm, octets, ...optional] = readSequence(pkcs8, 'PrivateKeyInfo')
    checkVersion(version, [0, 1], 'PrivateKeyInfo')
    const kind = readAlgorithm(algorithm)
    const key = contentsOf(octets, DER_OCTET_STRING, 'privateKey')
    // Attributes carry nothing that matters here.
    if (optional[0]?.tag === TAG_ATTRIBUTES) optional.shift()
    const publicKey = optional[0]?.tag === TAG_PUBLIC_KEY ? optional.shift()! : undefined
    refuseMore(optional, 'PrivateKeyInfo')
    if (kind === 'rsa') return readRsaPrivateKey(readSequence(key, 'RSAPrivateKey'))
    // Implicitly tagged (RFC 5958 §2).
    const publicBytes = publicKey && bitStringOf({ ...publicKey, tag: DER_BIT_STRING }, 'publicKey')
    if (isMlDsa(kind)) return { kind, secret: readMlDsaSecret(kind, key), publicKey: publicBytes }
    if (kind === 'ed25519') {
      const [seed, ...more] = readElements(key)
      refuseMore(more, 'CurvePrivateKey')
      return {
        kind,
        seed: checkEd25519(contentsOf(seed, DER_OCTET_STRING, 'seed'), 'seed'),
        point: publicBytes,
      }
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
    point === undefined
      ? []
      : [encodeElement(TAG_EC_PUBLIC_KEY, encodeElement(DER_BIT_STRING, Uint8Array.of(0), point))]
  const key =
    kind === 'ed25519' ? octets : encodeElement(DER_SEQUENCE, EC_PRIVATE_KEY_VERSION, octets, ...publicKey)
  return encodePrivateKeyInfo(kind, key)
}

/** A PrivateKeyInfo of version 1. */
export function encodeMlDsaPkcs8(kind: MlDsaKind, secret: MlDsaSecret): Uint8Array<ArrayBuffer> {
  return encodePrivateKeyInfo(kind, encodeMlDsaSecret(secret))
}

function encodePrivateKeyInfo(kind: KeyKind, key: Uint8Array): Uint8Array<ArrayBuffer> {
  return encodeElement(
    DER_SEQUENCE,
    PRIVATE_KEY_INFO_VERSION,
    encodeElement(DER_SEQUENCE, ALGORITHMS[kind]),
    encodeElement(DER_OCTET_STRING, key),
  )
}

function readEcPrivateKey(kind: EcKind, elements: readonly DerElement[]): PrivateKeyParts {
  const [version, octets, ...optional] = elements
  checkVersion(version, [1], 'ECPrivateKey')
  const scalar = checkScalar(kind, contentsOf(octets, DER_OCTET_STRING, 'privateKey'))
  const parameters =
    optional[0]?.tag === TAG_EC_PARAMETERS ? explicitOf(optional.shift()!, 'parameters') : undefined
  const publicKey =
    optional[0]?.tag === TAG_EC_PUBLIC_KEY ? explicitOf(optional.shift()!, 'publicKey') : undefined
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

function readRsaPrivateKey([version, modulus, exponent, ...secrets]: readonly DerElement[]): PrivateKeyParts {
  checkVersion(version, [0], 'RSAPrivateKey')
  refuseMore(secrets.slice(RSA_SECRETS), 'RSAPrivateKey')
  for (let i = 0; i < RSA_SECRETS; i++) unsignedOf(secrets[i], 'A secret number of the RSA key')
  return checkRsa(unsignedOf(modulus, 'modulus'), unsignedOf(exponent, 'publicExponent'))
}

function checkVersion(element: DerElement | undefined, known: readonly number[], field: string): void {
  const version = unsignedOf(element, 'version')
  if (version.length <= 1 && known.includes(version[0] ?? 0)) return
  throw new CryptoError(
    'CRYPTO_UNSUPPORTED',
    `${field} has the version ${version.toHex()}, which is not known`,
  )
}
