/** Private keys as operators keep them: PEM of PKCS#8, SEC 1 or PKCS#1. */
import { equalBytes } from '../bytes/bytes.ts'
import { encodeElement, DER_INTEGER, DER_OCTET_STRING, DER_SEQUENCE } from '../crypto/der.ts'
import { CryptoError } from '../crypto/errors.ts'
import type { CryptoProvider, PrivateKey } from '../crypto/provider.ts'
import { parseSubjectPublicKey } from './algorithms.ts'
import type { Certificate } from './certificate.ts'
import { keyProblem } from './certificate-rules.ts'
import { contextConstructed, DerReader, Tag } from './der.ts'
import { CertificateError } from './errors.ts'
import { certificateLabel } from './label.ts'
import { encodePem, readPem } from './pem.ts'

const PKCS8 = 'PRIVATE KEY'
const SEC1 = 'EC PRIVATE KEY'
const PKCS1 = 'RSA PRIVATE KEY'
const ENCRYPTED = 'ENCRYPTED PRIVATE KEY'

/** id-ecPublicKey and rsaEncryption with NULL, whole DER elements. */
const EC_ALGORITHM = Uint8Array.fromHex('06072a8648ce3d0201')
const RSA_IDENTIFIER = Uint8Array.fromHex('300d06092a864886f70d0101010500')
const ZERO = encodeElement(DER_INTEGER, Uint8Array.of(0))
const ONE = encodeElement(DER_INTEGER, Uint8Array.of(1))

/**
 * The one private key in `text`; certificates and parameters beside it are skipped.
 *
 * @throws CertificateError PKI_PEM, PKI_MALFORMED, PKI_ENCRYPTED_KEY, PKI_UNSUPPORTED, PKI_WEAK_KEY
 */
export function decodePrivateKeyPem(text: string, crypto: CryptoProvider): PrivateKey {
  const blocks = readPem(text)
  const keys = blocks.filter(({ label }) => label.endsWith(PKCS8))
  const [block] = keys
  if (block === undefined || keys.length > 1) {
    const found = blocks.map(({ label }) => label).join(', ') || 'no PEM at all'
    throw new CertificateError('PKI_PEM', `The text must hold one private key; it holds ${found}`)
  }
  switch (block.label) {
    case PKCS8:
      return importKey(block.der, crypto)
    case SEC1:
      return importKey(wrapSec1(block.der), crypto)
    case PKCS1:
      return importKey(wrapPkcs1(block.der), crypto)
    case ENCRYPTED:
      throw new CertificateError(
        'PKI_ENCRYPTED_KEY',
        'The private key is encrypted, and no passphrase can be given; decrypt it first, e.g. with openssl pkey',
      )
    default:
      throw new CertificateError(
        'PKI_UNSUPPORTED',
        `Private keys of the form ${block.label} are not read; convert it, e.g. with openssl pkcs8 -topk8 -nocrypt`,
      )
  }
}

/** PKCS#8, not encrypted. */
export function encodePrivateKeyPem(key: PrivateKey): string {
  return encodePem(PKCS8, key.exportPkcs8())
}

/** @throws CertificateError PKI_KEY_MISMATCH unless `key` is the private half of the certificate's key */
export function checkKeyMatch(certificate: Certificate, key: PrivateKey): void {
  if (equalBytes(certificate.publicKey.spki, key.publicKey.spki)) return
  throw new CertificateError(
    'PKI_KEY_MISMATCH',
    `The private key is not the one of the certificate ${certificateLabel(certificate)}; they come from different pairs`,
    { certificate },
  )
}

function importKey(pkcs8: Uint8Array, crypto: CryptoProvider): PrivateKey {
  const key = providerKey(pkcs8, crypto)
  const problem = keyProblem(parseSubjectPublicKey(key.publicKey.spki))
  if (problem !== undefined) throw new CertificateError(problem.code, `The private key file ${problem.text}`)
  return key
}

function providerKey(pkcs8: Uint8Array, crypto: CryptoProvider): PrivateKey {
  try {
    return crypto.importPrivateKey(pkcs8)
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause
    const code = cause.code === 'CRYPTO_UNSUPPORTED' ? 'PKI_UNSUPPORTED' : 'PKI_MALFORMED'
    throw new CertificateError(code, `The private key cannot be used: ${cause.message}`, { cause })
  }
}

/** RFC 5915 §3 into RFC 5958 §2: the curve moves from the key into the algorithm. */
function wrapSec1(der: Uint8Array): Uint8Array {
  const { curve, inner } = DerReader.readAll(der, 'ecPrivateKey', (whole) =>
    whole.sequence('contents', (key) => {
      if (key.smallInteger('version', 255) !== 1) key.fail('version', 'is not 1')
      const scalar = encodeElement(DER_OCTET_STRING, key.octetString('privateKey'))
      if (!key.next(contextConstructed(0))) key.fail('parameters', 'are missing, so the curve is not known')
      const curve = key.constructed(contextConstructed(0), 'parameters', (parameters) =>
        parameters.any('curve'),
      )
      if (curve.tag !== Tag.oid)
        throw new CertificateError(
          'PKI_UNSUPPORTED',
          'The private key describes its curve instead of naming it',
        )
      const publicKey = key.more ? key.any('publicKey').der : new Uint8Array()
      return { curve: curve.der, inner: encodeElement(DER_SEQUENCE, ONE, scalar, publicKey) }
    }),
  )
  const algorithm = encodeElement(DER_SEQUENCE, EC_ALGORITHM, curve)
  return encodeElement(DER_SEQUENCE, ZERO, algorithm, encodeElement(DER_OCTET_STRING, inner))
}

/** RFC 8017 appendix A.1.2 into RFC 5958 §2. */
function wrapPkcs1(der: Uint8Array): Uint8Array {
  return encodeElement(DER_SEQUENCE, ZERO, RSA_IDENTIFIER, encodeElement(DER_OCTET_STRING, der))
}
