/** Certificate signing requests (PKCS#10, RFC 2986), from which nothing but the key is taken. */
import { DER_BIT_STRING, DER_INTEGER, DER_SEQUENCE, encodeElement } from '../crypto/der.ts'
import { CryptoError } from '../crypto/errors.ts'
import type {
  CryptoProvider,
  KeyKind,
  PrivateKey,
  PublicKey,
  SignatureParameters,
} from '../crypto/provider.ts'
import { readAlgorithmIdentifier, readSubjectPublicKey, signatureParameters } from './algorithms.ts'
import { contextConstructed, DerReader } from './der.ts'
import { DistinguishedName } from './distinguished-name.ts'
import { CertificateError, type PkiErrorCode } from './errors.ts'

/** A request whose signature proves that its maker has the private key. */
export interface CertificateRequest {
  readonly publicKey: PublicKey
  /** What its maker would like to be called; a wish and no more. */
  readonly subject: DistinguishedName
}

/** With a key of P-384 and a dozen names it has about 1 kB. */
const MAX_CSR_BYTES = 8192

/** Kinds of keys that are certified, with how requests for them are signed. */
const SIGNATURES: ReadonlyMap<
  KeyKind,
  { readonly parameters: SignatureParameters; readonly algorithm: Uint8Array }
> = new Map([
  [
    'ec-p256',
    {
      parameters: { kind: 'ecdsa', hash: 'sha256' },
      algorithm: Uint8Array.fromHex('300a06082a8648ce3d040302'),
    },
  ],
  [
    'ec-p384',
    {
      parameters: { kind: 'ecdsa', hash: 'sha384' },
      algorithm: Uint8Array.fromHex('300a06082a8648ce3d040303'),
    },
  ],
  ['ed25519', { parameters: { kind: 'ed25519' }, algorithm: Uint8Array.fromHex('300506032b6570') }],
])

const VERSION_1 = encodeElement(DER_INTEGER, Uint8Array.of(0))
const EMPTY_NAME = encodeElement(DER_SEQUENCE)
const NO_ATTRIBUTES = encodeElement(contextConstructed(0))

/**
 * A request for this key, with an empty subject: who we are is for the authority to find out.
 *
 * @throws CertificateError PKI_UNSUPPORTED unless the key is P-256, P-384 or Ed25519
 */
export function createCsr(key: PrivateKey): Uint8Array {
  const signature = SIGNATURES.get(key.kind)
  if (signature === undefined)
    throw new CertificateError(
      'PKI_UNSUPPORTED',
      `No certificate can be requested for a key of kind ${key.kind}`,
    )
  const info = encodeElement(DER_SEQUENCE, VERSION_1, EMPTY_NAME, key.publicKey.spki, NO_ATTRIBUTES)
  const bytes = key.sign(signature.parameters, info)
  const bitString = encodeElement(DER_BIT_STRING, Uint8Array.of(0), bytes)
  return encodeElement(DER_SEQUENCE, info, signature.algorithm, bitString)
}

/**
 * Reads a request and verifies its signature. Attributes, such as the names asked for, are left unread.
 *
 * @throws CertificateError PKI_REQUEST for one that is too long or not well-formed, PKI_UNSUPPORTED unless it is for a
 * key of P-256, P-384 or Ed25519, PKI_BAD_SIGNATURE when that key did not sign it
 */
export function readCsr(der: Uint8Array, crypto: CryptoProvider): CertificateRequest {
  if (der.length > MAX_CSR_BYTES)
    throw refused(`has ${der.length} bytes, and at most ${MAX_CSR_BYTES} are accepted`)
  const { info, subject, key, algorithm, signature } = parse(der)
  const accepted = key.kind === undefined ? undefined : SIGNATURES.get(key.kind)
  if (accepted === undefined)
    throw refused(
      `is for a key of ${key.kind ?? `algorithm ${key.algorithm}`}, expected P-256, P-384 or Ed25519`,
      { code: 'PKI_UNSUPPORTED' },
    )
  const parameters = signatureParameters(algorithm)
  if (parameters === undefined)
    throw refused(`is signed with the algorithm ${algorithm.oid}, which is not accepted`, {
      code: 'PKI_UNSUPPORTED',
    })
  const publicKey = importKey(key.spki, crypto)
  if (!publicKey.verify(parameters, info, signature))
    throw refused('is not signed by the key that it names', { code: 'PKI_BAD_SIGNATURE' })
  return { publicKey, subject }
}

function parse(der: Uint8Array) {
  try {
    return DerReader.readAll(der, 'request', (whole) =>
      whole.sequence('contents', (reader) => {
        const start = reader.offset
        const { subject, key } = reader.sequence('certificationRequestInfo', readInfo)
        const info = reader.since(start)
        const algorithm = readAlgorithmIdentifier(reader, 'signatureAlgorithm')
        return { info, subject, key, algorithm, signature: reader.bitStringBytes('signature') }
      }),
    )
  } catch (cause) {
    if (!(cause instanceof CertificateError)) throw cause
    throw refused(`is not well-formed: ${cause.message}`, { cause })
  }
}

function readInfo(info: DerReader) {
  if (info.smallInteger('version', 255) !== 0) info.fail('version', 'is not 0, which stands for 1')
  const subject = DistinguishedName.read(info, 'subject')
  const key = readSubjectPublicKey(info, 'subjectPKInfo')
  // RFC 2986 §4.1 demands it, even empty; those who leave it out mean the same.
  if (info.more) info.element(contextConstructed(0), 'attributes')
  return { subject, key }
}

function importKey(spki: Uint8Array, crypto: CryptoProvider): PublicKey {
  try {
    return crypto.importPublicKey(spki)
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause
    throw refused(`has a key that cannot be used: ${cause.message}`, { cause })
  }
}

function refused(
  problem: string,
  { code = 'PKI_REQUEST', cause }: { readonly code?: PkiErrorCode; readonly cause?: unknown } = {},
): CertificateError {
  return new CertificateError(code, `The certificate signing request ${problem}`, { cause })
}
