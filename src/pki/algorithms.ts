import { equalBytes } from '../bytes/bytes.ts'
import { ML_DSA_BYTES } from '../crypto/ml-dsa-key.ts'
import type { HashName, KeyKind, MlDsaKind, SignatureParameters } from '../crypto/provider.ts'
import { HASH_BYTES } from '../crypto/provider.ts'
import { contextConstructed, DerReader, Tag } from './der.ts'
import { Oid } from './oid.ts'

/** What a SubjectPublicKeyInfo holds, as far as it can be told without using the key. */
export interface SubjectPublicKey {
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  /** The algorithm's object identifier. */
  readonly algorithm: string
  /** The contents of subjectPublicKey. */
  readonly bytes: Uint8Array
  /** Absent for keys that are not of a kind we use: other curves, explicit curves, DSA and so on. */
  readonly kind?: KeyKind
  /** RSA: the modulus; EC: the field; ML-DSA: the whole key; 0 without a kind. */
  readonly bits: number
  /** RSA only. */
  readonly publicExponent?: number
}

/** How a certificate or request was signed. */
export interface CertificateSignature {
  /** The algorithm's object identifier. */
  readonly algorithm: string
  /** Absent for algorithms that are not accepted: SHA-1, MD5, DSA, unusual RSASSA-PSS parameters and so on. */
  readonly parameters?: SignatureParameters
  readonly bytes: Uint8Array
}

/** DER AlgorithmIdentifier, taken apart once. */
export interface AlgorithmIdentifier {
  readonly oid: string
  /** The whole DER element of the parameters; absent when they are. */
  readonly parameters?: Uint8Array
  readonly der: Uint8Array
}

const CURVES: Readonly<
  Record<string, { readonly kind: KeyKind; readonly bits: number; readonly pointBytes: number }>
> = {
  [Oid.secp256r1]: { kind: 'ec-p256', bits: 256, pointBytes: 65 },
  [Oid.secp384r1]: { kind: 'ec-p384', bits: 384, pointBytes: 97 },
  [Oid.secp521r1]: { kind: 'ec-p521', bits: 521, pointBytes: 133 },
}

const ECDSA_HASHES: Readonly<Record<string, HashName>> = {
  [Oid.ecdsaWithSha256]: 'sha256',
  [Oid.ecdsaWithSha384]: 'sha384',
  [Oid.ecdsaWithSha512]: 'sha512',
}

const PKCS1_HASHES: Readonly<Record<string, HashName>> = {
  [Oid.sha256WithRsa]: 'sha256',
  [Oid.sha384WithRsa]: 'sha384',
  [Oid.sha512WithRsa]: 'sha512',
}

const HASHES: Readonly<Record<string, HashName>> = {
  [Oid.sha256]: 'sha256',
  [Oid.sha384]: 'sha384',
  [Oid.sha512]: 'sha512',
}

const ML_DSA_KINDS: Readonly<Record<string, MlDsaKind>> = {
  [Oid.mlDsa44]: 'ml-dsa-44',
  [Oid.mlDsa65]: 'ml-dsa-65',
  [Oid.mlDsa87]: 'ml-dsa-87',
}

/** A public exponent beyond four bytes makes every check of a signature dear and protects nothing. */
const MAX_EXPONENT_BYTES = 4

const DER_NULL = Uint8Array.of(Tag.null, 0)

/** @throws CertificateError PKI_MALFORMED */
export function readAlgorithmIdentifier(reader: DerReader, field: string): AlgorithmIdentifier {
  const start = reader.offset
  const { oid, parameters } = reader.sequence(field, (sequence) => ({
    oid: sequence.oid('algorithm'),
    parameters: sequence.more ? sequence.any('parameters').der : undefined,
  }))
  const der = reader.since(start)
  return parameters === undefined ? { oid, der } : { oid, parameters, der }
}

/** How to check signatures of this algorithm; undefined when they are not accepted. */
export function signatureParameters({
  oid,
  parameters,
}: AlgorithmIdentifier): SignatureParameters | undefined {
  const ecdsaHash = ECDSA_HASHES[oid]
  // RFC 5758 §3.2, RFC 8410 §3: the parameters are absent.
  if (ecdsaHash !== undefined)
    return parameters === undefined ? { kind: 'ecdsa', hash: ecdsaHash } : undefined
  if (oid === Oid.ed25519) return parameters === undefined ? { kind: 'ed25519' } : undefined
  const mlDsaKind = ML_DSA_KINDS[oid]
  // RFC 9881 §2
  if (mlDsaKind !== undefined) return parameters === undefined ? { kind: mlDsaKind } : undefined
  const pkcs1Hash = PKCS1_HASHES[oid]
  // RFC 4055 §5: the parameters are NULL; those who leave them out are to be accepted.
  if (pkcs1Hash !== undefined)
    return parameters === undefined || equalBytes(parameters, DER_NULL)
      ? { kind: 'rsa-pkcs1', hash: pkcs1Hash }
      : undefined
  if (oid === Oid.rsassaPss && parameters !== undefined) return pssParameters(parameters)
  return undefined
}

/** @throws CertificateError PKI_MALFORMED */
export function readSubjectPublicKey(reader: DerReader, field: string): SubjectPublicKey {
  const start = reader.offset
  const { algorithm, key } = reader.sequence(field, (sequence) => ({
    algorithm: readAlgorithmIdentifier(sequence, 'algorithm'),
    key: sequence.bitStringBytes('subjectPublicKey'),
  }))
  return {
    spki: reader.since(start),
    algorithm: algorithm.oid,
    bytes: key,
    ...keyFacts(reader, field, algorithm, key),
  }
}

/** The facts of a DER SubjectPublicKeyInfo. @throws CertificateError PKI_MALFORMED */
export function parseSubjectPublicKey(spki: Uint8Array): SubjectPublicKey {
  return DerReader.readAll(spki, 'key', (reader) => readSubjectPublicKey(reader, 'subjectPublicKeyInfo'))
}

type KeyFacts = Omit<SubjectPublicKey, 'spki' | 'algorithm' | 'bytes'>

function keyFacts(
  reader: DerReader,
  field: string,
  { oid, parameters }: AlgorithmIdentifier,
  key: Uint8Array,
): KeyFacts {
  switch (oid) {
    case Oid.ecPublicKey: {
      // RFC 5480 §2.1.1: named curves only. An explicit curve is whatever its author says it is.
      const curve = parameters?.[0] === Tag.oid ? CURVES[namedCurve(parameters)] : undefined
      if (curve === undefined) return { bits: 0 }
      // RFC 5480 §2.2; the point itself is checked where the key is imported. Compressed points are not accepted.
      if (key.length !== curve.pointBytes || key[0] !== 0x04)
        reader.fail(field, 'does not hold an uncompressed point of its curve')
      return { kind: curve.kind, bits: curve.bits }
    }
    case Oid.ed25519:
      if (parameters !== undefined || key.length !== 32) reader.fail(field, 'does not hold an Ed25519 key')
      return { kind: 'ed25519', bits: 256 }
    case Oid.rsaEncryption:
      if (parameters === undefined || !equalBytes(parameters, DER_NULL))
        reader.fail(field, 'has parameters that are not NULL')
      return DerReader.readAll(key, 'rsaPublicKey', readRsaKey)
    case Oid.mlDsa44:
    case Oid.mlDsa65:
    case Oid.mlDsa87: {
      const kind = ML_DSA_KINDS[oid]!
      if (parameters !== undefined || key.length !== ML_DSA_BYTES[kind].publicKey)
        reader.fail(field, `does not hold an ${kind} key`)
      return { kind, bits: 8 * key.length }
    }
    default:
      return { bits: 0 }
  }
}

function readRsaKey(reader: DerReader): KeyFacts {
  return reader.sequence('key', (sequence) => {
    const modulus = sequence.integer('modulus')
    if (modulus[0]! >= 0x80) sequence.fail('modulus', 'is negative')
    const exponent = sequence.integer('publicExponent')
    const leading = modulus[0] === 0 ? modulus.subarray(1) : modulus
    const bits = leading.length === 0 ? 0 : leading.length * 8 - Math.clz32(leading[0]!) + 24
    const small = exponent.length <= MAX_EXPONENT_BYTES && exponent[0]! < 0x80
    const publicExponent = small ? exponent.reduce((sum, byte) => sum * 256 + byte, 0) : 0
    return { kind: 'rsa', bits, publicExponent }
  })
}

function namedCurve(parameters: Uint8Array): string {
  return DerReader.readAll(parameters, 'parameters', (reader) => reader.oid('namedCurve'))
}

/** RFC 4055 §3.1, only with one hash throughout and a salt of its length. */
function pssParameters(parameters: Uint8Array): SignatureParameters | undefined {
  return DerReader.readAll(parameters, 'pssParameters', (reader) =>
    reader.sequence('parameters', (sequence) => {
      const field = <T>(number: number, name: string, read: (inner: DerReader) => T): T | undefined =>
        sequence.next(contextConstructed(number))
          ? sequence.constructed(contextConstructed(number), name, read)
          : undefined
      const hashAlgorithm = field(0, 'hashAlgorithm', (inner) => readAlgorithmIdentifier(inner, 'hash'))
      const mask = field(1, 'maskGenAlgorithm', (inner) => readAlgorithmIdentifier(inner, 'mask'))
      const saltLength = field(2, 'saltLength', (inner) => inner.smallInteger('salt', 1024))
      const trailer = field(3, 'trailerField', (inner) => inner.smallInteger('trailer', 255))
      const hash = hashAlgorithm && HASHES[hashAlgorithm.oid]
      if (hash === undefined || mask?.oid !== Oid.mgf1 || mask.parameters === undefined) return undefined
      const maskHash = DerReader.readAll(mask.parameters, 'mgf1', (inner) =>
        readAlgorithmIdentifier(inner, 'hash'),
      )
      const plain = HASHES[maskHash.oid] === hash && saltLength === HASH_BYTES[hash] && trailer === undefined
      return plain ? { kind: 'rsa-pss', hash } : undefined
    }),
  )
}
