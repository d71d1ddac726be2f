/** Keys for {@link CryptoProvider.importKeyAgreementKey}, as they are kept (RFC 8410 §7, RFC 5915). */
import { equalBytes } from '../bytes/bytes.ts'
import {
  contentsOf,
  DER_INTEGER,
  DER_OCTET_STRING,
  DER_SEQUENCE,
  encodeElement,
  readElements,
  readSequence,
  refuseMore,
} from './der.ts'
import { CryptoError } from './errors.ts'
import { readingKey } from './key-encoding.ts'
import { decodePkcs8, encodePkcs8 } from './pkcs8.ts'
import type { StaticGroupName } from './provider.ts'

/** id-X25519 (RFC 8410 §3), with its tag and length. */
const ID_X25519 = Uint8Array.fromHex('06032b656e')

export interface AgreementKeyParts {
  readonly group: StaticGroupName
  readonly scalar: Uint8Array
}

/** As PKCS#8. */
export function encodeAgreementKey({ group, scalar }: AgreementKeyParts): Uint8Array<ArrayBuffer> {
  if (group === 'secp256r1') return encodePkcs8('ec-p256', scalar)
  return encodeElement(
    DER_SEQUENCE,
    encodeElement(DER_INTEGER, Uint8Array.of(0)),
    encodeElement(DER_SEQUENCE, ID_X25519),
    encodeElement(DER_OCTET_STRING, encodeElement(DER_OCTET_STRING, scalar)),
  )
}

/** From PKCS#8. @throws CryptoError CRYPTO_INVALID_KEY, CRYPTO_UNSUPPORTED */
export function decodeAgreementKey(pkcs8: Uint8Array): AgreementKeyParts {
  const x25519 = readingKey('The PKCS#8 key', () => readX25519(pkcs8))
  if (x25519 !== undefined) return { group: 'x25519', scalar: x25519 }
  const parts = decodePkcs8(pkcs8)
  if (parts.kind === 'ec-p256') return { group: 'secp256r1', scalar: Uint8Array.from(parts.scalar) }
  throw new CryptoError(
    'CRYPTO_UNSUPPORTED',
    `Keys of the kind ${parts.kind} are not used for agreements, expected X25519 or P-256`,
  )
}

/** Undefined for keys of other kinds. */
function readX25519(pkcs8: Uint8Array): Uint8Array | undefined {
  const [, algorithm, octets] = readSequence(pkcs8, 'PrivateKeyInfo')
  if (!equalBytes(contentsOf(algorithm, DER_SEQUENCE, 'AlgorithmIdentifier'), ID_X25519)) return undefined
  const [scalar, ...more] = readElements(contentsOf(octets, DER_OCTET_STRING, 'privateKey'))
  refuseMore(more, 'CurvePrivateKey')
  return Uint8Array.from(contentsOf(scalar, DER_OCTET_STRING, 'CurvePrivateKey'))
}
