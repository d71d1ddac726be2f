/**
 * The one user of @peculiar/x509: puts certificates together. The signature is made by the provider's own key, which is
 * neither exported nor kept here: it lives as long as its owner wants. What is the same in many certificates is laid out
 * once, because the library parses and writes everything that it is given several times.
 */
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import { DER_OCTET_STRING, DER_SEQUENCE, encodeElement } from '../crypto/der.ts'
import type { KeyKind, PrivateKey, SignatureParameters } from '../crypto/provider.ts'
import { parseSubjectPublicKey } from './algorithms.ts'
import { contextPrimitive, DerReader } from './der.ts'
import { encodeKeyUsage } from './extensions.ts'
import type { CertificateTemplate, SigningOptions } from './issue.ts'
import { KEY_IDENTIFIER_BYTES } from './key-identifier.ts'
import { Oid } from './oid.ts'

/** Far more than chance can repeat, and within the 20 bytes of RFC 5280 §4.1.2.2. */
const SERIAL_BYTES = 16

/** How a kind of key signs certificates: in the library's terms, and in ours. */
interface SigningScheme {
  readonly algorithm: (EcKeyImportParams & EcdsaParams) | RsaHashedImportParams | Algorithm
  readonly parameters: SignatureParameters
  /** Of each half of an ECDSA signature. */
  readonly scalarBytes?: number
}

const SIGNING_SCHEMES: Readonly<Record<KeyKind, SigningScheme>> = {
  'ec-p256': ecdsa('P-256', 'sha256', 32),
  'ec-p384': ecdsa('P-384', 'sha384', 48),
  'ec-p521': ecdsa('P-521', 'sha512', 66),
  ed25519: { algorithm: { name: 'Ed25519' }, parameters: { kind: 'ed25519' } },
  'ml-dsa-44': { algorithm: { name: 'ML-DSA-44' }, parameters: { kind: 'ml-dsa-44' } },
  'ml-dsa-65': { algorithm: { name: 'ML-DSA-65' }, parameters: { kind: 'ml-dsa-65' } },
  'ml-dsa-87': { algorithm: { name: 'ML-DSA-87' }, parameters: { kind: 'ml-dsa-87' } },
  rsa: {
    algorithm: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    parameters: { kind: 'rsa-pkcs1', hash: 'sha256' },
  },
}

/** Signs whatever the template says; whether it makes sense is for the caller to know. Returns DER. */
export async function signCertificate(
  template: CertificateTemplate,
  { issuer, signingKey }: SigningOptions,
): Promise<Uint8Array> {
  const subject = subjectOf(template)
  const { algorithm } = SIGNING_SCHEMES[signingKey.kind]
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: randomSerialNumber(),
      subject,
      issuer: issuer === undefined ? subject : new x509.Name(new Uint8Array(issuer.subject.der)),
      notBefore: wholeSecond(template.notBeforeMs),
      notAfter: wholeSecond(template.notAfterMs),
      publicKey: new Uint8Array(template.publicKey.spki),
      // Nothing but the algorithm of it is looked at; what signs is below.
      signingKey: { algorithm } as CryptoKey,
      signingAlgorithm: algorithm,
      extensions: await extensionsOf(template, issuer?.subjectKeyIdentifier),
    },
    signerOnly(signingKey),
  )
  return new Uint8Array(certificate.rawData)
}

/** What the library takes for WebCrypto, and asks for a signature and for nothing else. */
function signerOnly(key: PrivateKey): Crypto {
  const { parameters, scalarBytes } = SIGNING_SCHEMES[key.kind]
  const subtle = {
    async sign(_algorithm: unknown, _key: unknown, content: ArrayBuffer): Promise<ArrayBuffer> {
      const signature = key.sign(parameters, new Uint8Array(content))
      const bytes = scalarBytes === undefined ? signature : concatenatedScalars(signature, scalarBytes)
      return Uint8Array.from(bytes).buffer
    },
  }
  return { subtle } as unknown as Crypto
}

/** An ECDSA signature as WebCrypto has it: r and s side by side, where DER has a SEQUENCE of INTEGERs (RFC 3279 §2.2.3). */
function concatenatedScalars(der: Uint8Array, scalarBytes: number): Uint8Array {
  return DerReader.readAll(der, 'signature', (whole) =>
    whole.sequence('Ecdsa-Sig-Value', (value) => {
      const both = new Uint8Array(2 * scalarBytes)
      for (const [index, name] of (['r', 's'] as const).entries()) {
        const scalar = value.integer(name)
        const bytes = scalar.length > scalarBytes ? scalar.subarray(scalar.length - scalarBytes) : scalar
        both.set(bytes, (index + 1) * scalarBytes - bytes.length)
      }
      return both
    }),
  )
}

function ecdsa(
  namedCurve: string,
  hash: Extract<SignatureParameters, { kind: 'ecdsa' }>['hash'],
  scalarBytes: number,
): SigningScheme {
  const algorithm = { name: 'ECDSA', namedCurve, hash: hash.replace('sha', 'SHA-') }
  return { algorithm, parameters: { kind: 'ecdsa', hash }, scalarBytes }
}

function subjectOf({ subject, commonName }: CertificateTemplate): x509.Name {
  if (subject !== undefined) return new x509.Name(new Uint8Array(subject))
  return new x509.Name(commonName === undefined ? [] : [{ CN: [{ utf8String: commonName }] }])
}

async function extensionsOf(
  template: CertificateTemplate,
  issuerKeyIdentifier: Uint8Array | undefined,
): Promise<x509.Extension[]> {
  const { ca, pathLength, keyUsage, extendedKeyUsage, extensions = [] } = template
  const all: x509.Extension[] = [
    laidOut(
      `constraints ${ca} ${pathLength}`,
      () => new x509.BasicConstraintsExtension(ca, pathLength, true),
    ),
  ]
  if (keyUsage !== undefined)
    all.push(
      laidOut(
        `usage ${keyUsage.join()}`,
        () => new x509.Extension(Oid.keyUsage, true, encodeKeyUsage(keyUsage)),
      ),
    )
  if (extendedKeyUsage !== undefined)
    all.push(
      laidOut(
        `purposes ${extendedKeyUsage.join()}`,
        () => new x509.ExtendedKeyUsageExtension([...extendedKeyUsage]),
      ),
    )
  const names = alternativeNames(template)
  if (names.length > 0)
    all.push(
      laidOut(
        `names ${isNameless(template)} ${JSON.stringify(names)}`,
        () => new x509.SubjectAlternativeNameExtension(names, isNameless(template)),
      ),
    )
  const ownKeyIdentifier = template.subjectKeyIdentifier ?? (await keyIdentifier(template.publicKey.spki))
  all.push(
    new x509.Extension(Oid.subjectKeyIdentifier, false, encodeElement(DER_OCTET_STRING, ownKeyIdentifier)),
  )
  if (issuerKeyIdentifier !== undefined)
    all.push(
      laidOut(`issuer ${issuerKeyIdentifier.toHex()}`, () => {
        const value = encodeElement(DER_SEQUENCE, encodeElement(contextPrimitive(0), issuerKeyIdentifier))
        return new x509.Extension(Oid.authorityKeyIdentifier, false, value)
      }),
    )
  for (const { oid, critical, value } of extensions)
    all.push(new x509.Extension(oid, critical, new Uint8Array(value)))
  return all
}

/** Each of some 2 KB; workloads ask for the same names again and again. */
const MAX_LAID_OUT = 2_000

const extensionsByKey = new Map<string, x509.Extension>()

/** What was made under this key before, or is made now. The library does not write to what it is given. */
function laidOut(key: string, make: () => x509.Extension): x509.Extension {
  let extension = extensionsByKey.get(key)
  if (extension === undefined) {
    extension = make()
    if (extensionsByKey.size >= MAX_LAID_OUT) extensionsByKey.delete(extensionsByKey.keys().next().value!)
    extensionsByKey.set(key, extension)
  }
  return extension
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
