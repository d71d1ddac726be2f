/** The one user of @peculiar/x509: puts certificates together and signs them through WebCrypto. */
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import { DER_OCTET_STRING, DER_SEQUENCE, encodeElement } from '../crypto/der.ts'
import type { KeyKind, PrivateKey } from '../crypto/provider.ts'
import { parseSubjectPublicKey } from './algorithms.ts'
import { contextPrimitive } from './der.ts'
import { encodeKeyUsage } from './extensions.ts'
import type { CertificateTemplate, SigningOptions } from './issue.ts'
import { Oid } from './oid.ts'

/** Far more than chance can repeat, and within the 20 bytes of RFC 5280 §4.1.2.2. */
const SERIAL_BYTES = 16

/** RFC 7093 §2 (1): SHA-256, cut to the 160 bits that readers are used to. */
const KEY_IDENTIFIER_BYTES = 20

const SIGNING_ALGORITHMS: Readonly<
  Record<KeyKind, (EcKeyImportParams & EcdsaParams) | RsaHashedImportParams | Algorithm>
> = {
  'ec-p256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'ec-p384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  'ec-p521': { name: 'ECDSA', namedCurve: 'P-521', hash: 'SHA-512' },
  ed25519: { name: 'Ed25519' },
  'ml-dsa-44': { name: 'ML-DSA-44' },
  'ml-dsa-65': { name: 'ML-DSA-65' },
  'ml-dsa-87': { name: 'ML-DSA-87' },
  rsa: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
}

/** Signs whatever the template says; whether it makes sense is for the caller to know. Returns DER. */
export async function signCertificate(
  template: CertificateTemplate,
  { issuer, signingKey }: SigningOptions,
): Promise<Uint8Array> {
  const subject = subjectOf(template)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomSerialNumber(),
    subject,
    issuer: issuer === undefined ? subject : new x509.Name(new Uint8Array(issuer.subject.der)),
    notBefore: wholeSecond(template.notBeforeMs),
    notAfter: wholeSecond(template.notAfterMs),
    publicKey: new x509.PublicKey(new Uint8Array(template.publicKey.spki)),
    signingKey: await importSigningKey(signingKey),
    signingAlgorithm: SIGNING_ALGORITHMS[signingKey.kind],
    extensions: await extensionsOf(template, issuer?.subjectKeyIdentifier),
  })
  return new Uint8Array(certificate.rawData)
}

function subjectOf({ subject, commonName }: CertificateTemplate): x509.Name {
  if (subject !== undefined) return new x509.Name(new Uint8Array(subject))
  return new x509.Name(commonName === undefined ? [] : [{ CN: [{ utf8String: commonName }] }])
}

async function importSigningKey(key: PrivateKey): Promise<CryptoKey> {
  const pkcs8 = new Uint8Array(key.exportPkcs8())
  try {
    return await crypto.subtle.importKey('pkcs8', pkcs8, SIGNING_ALGORITHMS[key.kind], false, ['sign'])
  } finally {
    pkcs8.fill(0)
  }
}

async function extensionsOf(
  template: CertificateTemplate,
  issuerKeyIdentifier: Uint8Array | undefined,
): Promise<x509.Extension[]> {
  const { ca, pathLength, keyUsage, extendedKeyUsage, extensions = [] } = template
  const all: x509.Extension[] = [new x509.BasicConstraintsExtension(ca, pathLength, true)]
  if (keyUsage !== undefined) all.push(new x509.Extension(Oid.keyUsage, true, encodeKeyUsage(keyUsage)))
  if (extendedKeyUsage !== undefined) all.push(new x509.ExtendedKeyUsageExtension([...extendedKeyUsage]))
  const names = alternativeNames(template)
  if (names.length > 0) all.push(new x509.SubjectAlternativeNameExtension(names, isNameless(template)))
  const ownKeyIdentifier = template.subjectKeyIdentifier ?? (await keyIdentifier(template.publicKey.spki))
  all.push(
    new x509.Extension(Oid.subjectKeyIdentifier, false, encodeElement(DER_OCTET_STRING, ownKeyIdentifier)),
  )
  if (issuerKeyIdentifier !== undefined) {
    const value = encodeElement(DER_SEQUENCE, encodeElement(contextPrimitive(0), issuerKeyIdentifier))
    all.push(new x509.Extension(Oid.authorityKeyIdentifier, false, value))
  }
  for (const { oid, critical, value } of extensions)
    all.push(new x509.Extension(oid, critical, new Uint8Array(value)))
  return all
}

/** RFC 5280 §4.2.1.6: the alternative names are critical when there is no other name. */
function isNameless({ commonName, subject }: CertificateTemplate): boolean {
  return commonName === undefined && subject === undefined
}

function alternativeNames({
  uris = [],
  dnsNames = [],
  ipAddresses = [],
}: CertificateTemplate): x509.JsonGeneralNames {
  return [
    ...uris.map((value) => ({ type: 'url', value }) as const),
    ...dnsNames.map((value) => ({ type: 'dns', value }) as const),
    ...ipAddresses.map((value) => ({ type: 'ip', value }) as const),
  ]
}

async function keyIdentifier(spki: Uint8Array): Promise<Uint8Array> {
  const { bytes } = parseSubjectPublicKey(spki)
  const digest = await crypto.subtle.digest('SHA-256', new Uint8Array(bytes))
  return new Uint8Array(digest).subarray(0, KEY_IDENTIFIER_BYTES)
}

/** Hexadecimal; the first bit is zero and the second one, so that the INTEGER is positive and has all its bytes. */
function randomSerialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(SERIAL_BYTES))
  bytes[0] = (bytes[0]! & 0x3f) | 0x40
  return bytes.toHex()
}

function wholeSecond(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000)
}
