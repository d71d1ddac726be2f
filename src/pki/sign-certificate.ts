/** Puts a certificate together and signs it (RFC 5280 §4.1). */
import { utf8 } from '../bytes/bytes.ts'
import {
  DER_BIT_STRING,
  DER_OCTET_STRING,
  DER_SEQUENCE,
  encodeElement,
  encodeUnsigned,
} from '../crypto/der.ts'
import type { CryptoProvider, KeyKind, SignatureParameters } from '../crypto/provider.ts'
import { parseSubjectPublicKey } from './algorithms.ts'
import type { Extension } from './certificate.ts'
import { contextConstructed, contextPrimitive, Tag } from './der.ts'
import { encodeKeyUsage } from './extensions.ts'
import { parseIpAddress } from './host-name.ts'
import type { CertificateTemplate, SigningOptions } from './issue.ts'
import { encodeOid, Oid } from './oid.ts'
import { encodeTime } from './time.ts'

/** Far more than chance can repeat, and within the 20 bytes of RFC 5280 §4.1.2.2. */
const SERIAL_BYTES = 16

/** RFC 7093 §2 (1): SHA-256, cut to the 160 bits that readers are used to. */
const KEY_IDENTIFIER_BYTES = 20

const VERSION_3 = encodeElement(contextConstructed(0), encodeUnsigned(Uint8Array.of(2)))

const COMMON_NAME = encodeOid('2.5.4.3')

const TRUE = encodeElement(Tag.boolean, Uint8Array.of(0xff))

interface CertificateSignature {
  readonly parameters: SignatureParameters
  /** AlgorithmIdentifier, DER. */
  readonly algorithm: Uint8Array
}

/** How a key of each kind signs certificates. */
const SIGNATURES: Readonly<Record<KeyKind, CertificateSignature>> = {
  'ec-p256': signature({ kind: 'ecdsa', hash: 'sha256' }, Oid.ecdsaWithSha256),
  'ec-p384': signature({ kind: 'ecdsa', hash: 'sha384' }, Oid.ecdsaWithSha384),
  'ec-p521': signature({ kind: 'ecdsa', hash: 'sha512' }, Oid.ecdsaWithSha512),
  ed25519: signature({ kind: 'ed25519' }, Oid.ed25519),
  'ml-dsa-44': signature({ kind: 'ml-dsa-44' }, Oid.mlDsa44),
  'ml-dsa-65': signature({ kind: 'ml-dsa-65' }, Oid.mlDsa65),
  'ml-dsa-87': signature({ kind: 'ml-dsa-87' }, Oid.mlDsa87),
  // RFC 4055 §5: with parameters, which are NULL.
  rsa: signature({ kind: 'rsa-pkcs1', hash: 'sha256' }, Oid.sha256WithRsa, encodeElement(Tag.null)),
}

/**
 * Signs whatever the template says; whether it makes sense is for the caller to know. Returns DER.
 *
 * @throws CryptoError CRYPTO_UNSUPPORTED for a key that cannot make its signature
 */
export function signCertificate(
  template: CertificateTemplate,
  { issuer, signingKey, crypto }: SigningOptions & { readonly crypto: CryptoProvider },
): Uint8Array {
  const { parameters, algorithm } = SIGNATURES[signingKey.kind]
  const subject = template.subject ?? encodeName(template.commonName)
  const tbs = encodeElement(
    DER_SEQUENCE,
    VERSION_3,
    encodeUnsigned(randomSerialNumber(crypto)),
    algorithm,
    issuer?.subject.der ?? subject,
    encodeElement(DER_SEQUENCE, encodeTime(template.notBeforeMs), encodeTime(template.notAfterMs)),
    subject,
    template.publicKey.spki,
    encodeElement(
      contextConstructed(3),
      encodeElement(
        DER_SEQUENCE,
        ...extensionsOf(template, issuer?.subjectKeyIdentifier, crypto).map(encodeExtension),
      ),
    ),
  )
  const bits = encodeElement(DER_BIT_STRING, Uint8Array.of(0), signingKey.sign(parameters, tbs))
  return encodeElement(DER_SEQUENCE, tbs, algorithm, bits)
}

function extensionsOf(
  template: CertificateTemplate,
  issuerKeyIdentifier: Uint8Array | undefined,
  crypto: CryptoProvider,
): readonly Extension[] {
  const { keyUsage, extendedKeyUsage, extensions = [] } = template
  const names = alternativeNames(template)
  const all: Extension[] = [extension(Oid.basicConstraints, true, basicConstraints(template))]
  if (keyUsage !== undefined) all.push(extension(Oid.keyUsage, true, encodeKeyUsage(keyUsage)))
  if (extendedKeyUsage !== undefined)
    all.push(
      extension(Oid.extKeyUsage, false, encodeElement(DER_SEQUENCE, ...extendedKeyUsage.map(encodeOid))),
    )
  // RFC 5280 §4.2.1.6: critical when there is no other name.
  if (names.length > 0)
    all.push(extension(Oid.subjectAltName, isNameless(template), encodeElement(DER_SEQUENCE, ...names)))
  const own = template.subjectKeyIdentifier ?? keyIdentifier(template.publicKey.spki, crypto)
  all.push(extension(Oid.subjectKeyIdentifier, false, encodeElement(DER_OCTET_STRING, own)))
  if (issuerKeyIdentifier !== undefined) {
    const value = encodeElement(DER_SEQUENCE, encodeElement(contextPrimitive(0), issuerKeyIdentifier))
    all.push(extension(Oid.authorityKeyIdentifier, false, value))
  }
  return [...all, ...extensions]
}

function isNameless({ commonName, subject }: CertificateTemplate): boolean {
  return commonName === undefined && subject === undefined
}

/** RFC 5280 §4.2.1.9; cA is left out where it is false, as DER has it with defaults. */
function basicConstraints({ ca, pathLength }: CertificateTemplate): Uint8Array {
  const length = pathLength === undefined ? [] : [encodeUnsigned(Uint8Array.of(pathLength))]
  return encodeElement(DER_SEQUENCE, ...(ca ? [TRUE, ...length] : []))
}

function alternativeNames({
  uris = [],
  dnsNames = [],
  ipAddresses = [],
}: CertificateTemplate): readonly Uint8Array[] {
  return [
    ...uris.map((uri) => encodeElement(contextPrimitive(6), utf8(uri))),
    ...dnsNames.map((name) => encodeElement(contextPrimitive(2), utf8(name))),
    ...ipAddresses.map((text) => encodeElement(contextPrimitive(7), ipAddress(text))),
  ]
}

function ipAddress(text: string): Uint8Array {
  const bytes = parseIpAddress(text)
  if (bytes === undefined) throw new RangeError(`Expected an IP address, got ${JSON.stringify(text)}`)
  return bytes
}

/** A Name with a common name, or an empty one. */
function encodeName(commonName: string | undefined): Uint8Array {
  if (commonName === undefined) return encodeElement(DER_SEQUENCE)
  const attribute = encodeElement(DER_SEQUENCE, COMMON_NAME, encodeElement(Tag.utf8String, utf8(commonName)))
  return encodeElement(DER_SEQUENCE, encodeElement(Tag.set, attribute))
}

function extension(oid: string, critical: boolean, value: Uint8Array): Extension {
  return { oid, critical, value }
}

function encodeExtension({ oid, critical, value }: Extension): Uint8Array {
  return encodeElement(
    DER_SEQUENCE,
    encodeOid(oid),
    ...(critical ? [TRUE] : []),
    encodeElement(DER_OCTET_STRING, value),
  )
}

function keyIdentifier(spki: Uint8Array, crypto: CryptoProvider): Uint8Array {
  return crypto.digest('sha256', parseSubjectPublicKey(spki).bytes).subarray(0, KEY_IDENTIFIER_BYTES)
}

/** The first bit is zero and the second one, so that the INTEGER is positive and has all its bytes. */
function randomSerialNumber(crypto: CryptoProvider): Uint8Array {
  const bytes = crypto.random(SERIAL_BYTES)
  bytes[0] = (bytes[0]! & 0x3f) | 0x40
  return bytes
}

function signature(
  parameters: SignatureParameters,
  oid: string,
  ...algorithmParameters: readonly Uint8Array[]
): CertificateSignature {
  return { parameters, algorithm: encodeElement(DER_SEQUENCE, encodeOid(oid), ...algorithmParameters) }
}
