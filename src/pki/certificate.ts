import { equalBytes } from '../bytes/bytes.ts'
import { readAlgorithmIdentifier, readSubjectPublicKey, signatureParameters } from './algorithms.ts'
import type { AlgorithmIdentifier, CertificateSignature, SubjectPublicKey } from './algorithms.ts'
import { contextConstructed, contextPrimitive, DerReader, Tag } from './der.ts'
import { DistinguishedName } from './distinguished-name.ts'
import { CertificateError } from './errors.ts'
import * as decode from './extensions.ts'
import { Oid } from './oid.ts'
import { readTime } from './time.ts'

/** One extension as it stands. */
export interface Extension {
  /** The object identifier. */
  readonly oid: string
  readonly critical: boolean
  /** The contents of extnValue. */
  readonly value: Uint8Array
}

/** What the extensions say that path validation reads. */
interface KnownExtensions {
  readonly basicConstraints?: decode.BasicConstraints
  readonly keyUsage?: decode.KeyUsage
  readonly extendedKeyUsage?: decode.ExtendedKeyUsage
  /** Empty when the certificate has none. */
  readonly subjectAltNames: decode.SubjectAltNames
  readonly nameConstraints?: decode.NameConstraints
  readonly authorityKeyIdentifier?: decode.AuthorityKeyIdentifier
  readonly subjectKeyIdentifier?: Uint8Array
  /** Object identifiers of critical extensions that nothing here understands. */
  readonly unknownCriticalExtensions: readonly string[]
}

/** An X.509 certificate of version 3, read but not verified. All bytes are views of {@link Certificate.der}. */
export interface Certificate extends KnownExtensions {
  readonly der: Uint8Array
  /** What the signature covers. */
  readonly tbs: Uint8Array
  /** Lower-case hexadecimal of the INTEGER, two digits a byte, without sign byte. */
  readonly serialNumber: string
  /** The INTEGER's bytes, as they stand. */
  readonly serialBytes: Uint8Array
  readonly issuer: DistinguishedName
  readonly subject: DistinguishedName
  /** The first millisecond of validity, since the Unix epoch. */
  readonly notBeforeMs: number
  /** The last second of validity, which belongs to it to its end. */
  readonly notAfterMs: number
  readonly publicKey: SubjectPublicKey
  readonly signature: CertificateSignature
  /** As they stand, in order. */
  readonly extensions: readonly Extension[]
}

/** A whole TLS Certificate message is no longer. */
const MAX_CERTIFICATE_BYTES = 65_536

/** Public certificates carry about ten. */
const MAX_EXTENSIONS = 64

const VERSION_3 = 2

/**
 * Reads a certificate. It checks what makes it well-formed; whether it may be trusted, and the rules that
 * depend on its place on a path, are for `validatePath`.
 *
 * @throws CertificateError PKI_MALFORMED; PKI_UNSUPPORTED for versions before 3 and unique identifiers; PKI_LIMIT
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES)
    throw new CertificateError(
      'PKI_LIMIT',
      `A certificate of ${der.length} bytes is longer than the ${MAX_CERTIFICATE_BYTES} that are accepted`,
    )
  return DerReader.readAll(der, 'certificate', (whole) =>
    whole.sequence('contents', (reader) => {
      const start = reader.offset
      const { algorithm: inner, ...body } = reader.sequence('tbsCertificate', (contents) =>
        readTbs(contents, der),
      )
      const tbs = reader.since(start)
      const outer = readAlgorithmIdentifier(reader, 'signatureAlgorithm')
      // RFC 5280 §4.1.1.2
      if (!equalBytes(inner.der, outer.der))
        reader.fail('signatureAlgorithm', 'differs from tbsCertificate.signature')
      const bytes = reader.bitStringBytes('signatureValue')
      return { der, tbs, ...body, signature: signature(outer, bytes) }
    }),
  )
}

type CertificateBody = Omit<Certificate, 'der' | 'tbs' | 'signature'>

function readTbs(tbs: DerReader, der: Uint8Array): CertificateBody & { algorithm: AlgorithmIdentifier } {
  checkVersion(tbs)
  const serialBytes = tbs.integer('serialNumber')
  const algorithm = readAlgorithmIdentifier(tbs, 'signature')
  const issuer = DistinguishedName.read(tbs, 'issuer')
  const [notBeforeMs, notAfterMs] = tbs.sequence('validity', (validity) => [
    readTime(validity, 'notBefore'),
    readTime(validity, 'notAfter'),
  ])
  const subject = DistinguishedName.read(tbs, 'subject')
  const publicKey = readSubjectPublicKey(tbs, 'subjectPublicKeyInfo')
  // RFC 5280 §4.1.2.8: conforming authorities do not make unique identifiers.
  if (tbs.next(contextPrimitive(1)) || tbs.next(contextPrimitive(2)))
    throw new CertificateError('PKI_UNSUPPORTED', 'The certificate has a unique identifier')
  const extensions = tbs.more ? readExtensions(tbs) : []
  return {
    serialNumber: (serialBytes[0] === 0 && serialBytes.length > 1
      ? serialBytes.subarray(1)
      : serialBytes
    ).toHex(),
    serialBytes,
    algorithm,
    issuer,
    subject,
    notBeforeMs,
    notAfterMs,
    publicKey,
    extensions,
    ...decodeExtensions(extensions, der),
  }
}

function checkVersion(tbs: DerReader): void {
  const version = tbs.next(contextConstructed(0))
    ? tbs.constructed(contextConstructed(0), 'version', (inner) => inner.smallInteger('number', 255))
    : 0
  if (version === VERSION_3) return
  throw new CertificateError(
    'PKI_UNSUPPORTED',
    `The certificate is of X.509 version ${version + 1}, expected 3; issue it anew with extensions`,
  )
}

function readExtensions(tbs: DerReader): readonly Extension[] {
  return tbs.constructed(contextConstructed(3), 'extensions', (explicit) => {
    const extensions = explicit.list(Tag.sequence, 'list', (list) =>
      list.sequence('extension', (extension) => ({
        oid: extension.oid('extnID'),
        critical: extension.booleanDefaultFalse('critical'),
        value: extension.octetString('extnValue'),
      })),
    )
    if (extensions.length > MAX_EXTENSIONS) tbs.fail('extensions', `are more than ${MAX_EXTENSIONS}`)
    return extensions
  })
}

/** Mutable while it is being filled. */
type Known = { -readonly [Key in keyof KnownExtensions]: KnownExtensions[Key] }

function decodeExtensions(extensions: readonly Extension[], der: Uint8Array): KnownExtensions {
  const known: Known = { subjectAltNames: decode.NO_ALT_NAMES, unknownCriticalExtensions: [] }
  const seen = new Set<string>()
  const unknownCritical: string[] = []
  for (const { oid, critical, value } of extensions) {
    // RFC 5280 §4.2
    if (seen.has(oid)) throw new CertificateError('PKI_MALFORMED', `The extension ${oid} occurs twice`)
    seen.add(oid)
    const understood = DerReader.readPart(der, value, {
      field: `extension ${oid}`,
      read: (reader) => decodeExtension(known, { oid, critical, reader }),
    })
    if (!understood && critical) unknownCritical.push(oid)
  }
  known.unknownCriticalExtensions = unknownCritical
  return known
}

interface ExtensionInput {
  readonly oid: string
  readonly critical: boolean
  readonly reader: DerReader
}

/** False for an extension that is not understood. */
function decodeExtension(known: Known, { oid, critical, reader }: ExtensionInput): boolean {
  switch (oid) {
    case Oid.basicConstraints:
      known.basicConstraints = decode.readBasicConstraints(reader, critical)
      return true
    case Oid.keyUsage:
      known.keyUsage = decode.readKeyUsage(reader, critical)
      return true
    case Oid.extKeyUsage:
      known.extendedKeyUsage = decode.readExtendedKeyUsage(reader, critical)
      return true
    case Oid.subjectAltName:
      known.subjectAltNames = decode.readSubjectAltNames(reader, critical)
      return true
    case Oid.nameConstraints:
      known.nameConstraints = decode.readNameConstraints(reader, critical)
      return true
    case Oid.authorityKeyIdentifier:
      known.authorityKeyIdentifier = decode.readAuthorityKeyIdentifier(reader, critical)
      return true
    case Oid.subjectKeyIdentifier:
      known.subjectKeyIdentifier = decode.readSubjectKeyIdentifier(reader)
      return true
    case Oid.authorityInfoAccess:
      decode.checkAuthorityInfoAccess(reader)
      return true
    default:
      reader.rest()
      // No policy is asked for, and policyConstraints and its kin stay unknown: so any policy will do (RFC 5280 §6.1.1 c).
      return oid === Oid.certificatePolicies
  }
}

function signature(algorithm: AlgorithmIdentifier, bytes: Uint8Array): CertificateSignature {
  const parameters = signatureParameters(algorithm)
  return parameters === undefined
    ? { algorithm: algorithm.oid, bytes }
    : { algorithm: algorithm.oid, parameters, bytes }
}
