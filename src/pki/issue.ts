/**
 * Issuing certificates. What every authority here issues is laid down in three templates; signing is done with
 * the library in x509.ts, which is loaded at the first use: it takes 150 ms that only issuers need to spend.
 */
import type { PrivateKey } from '../crypto/provider.ts'
import type { Certificate, Extension } from './certificate.ts'
import { parseCertificate } from './certificate.ts'
import { refused } from './certificate-rules.ts'
import type { KeyUsageName } from './extensions.ts'
import { encodeNameConstraints } from './name-constraints-encoding.ts'
import { Oid } from './oid.ts'
import { checkKeyMatch } from './private-key.ts'

/** A certificate before it is signed. Issuer, serial number and key identifiers are added on signing. */
export interface CertificateTemplate {
  readonly publicKey: { readonly spki: Uint8Array }
  /** Absent for an empty subject; then the alternative names are critical. */
  readonly commonName?: string
  /** DER of a Name, in the place of a common name. */
  readonly subject?: Uint8Array
  /** @default made from the key */
  readonly subjectKeyIdentifier?: Uint8Array | undefined
  /** In milliseconds since the Unix epoch, kept to the second. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly ca: boolean
  /** Intermediates that may follow; for authorities only. @default any number */
  readonly pathLength?: number
  /** Critical. @default no extension */
  readonly keyUsage?: readonly KeyUsageName[]
  /** Object identifiers. @default no extension */
  readonly extendedKeyUsage?: readonly string[]
  readonly uris?: readonly string[]
  readonly dnsNames?: readonly string[]
  /** As text. */
  readonly ipAddresses?: readonly string[]
  /** Added as they are. */
  readonly extensions?: readonly Extension[]
}

export interface SigningOptions {
  /** @default the certificate itself: it is self-signed */
  readonly issuer?: Certificate
  /** The key of the issuer. */
  readonly signingKey: PrivateKey
}

export interface AuthorityOptions {
  readonly trustDomain: string
  readonly publicKey: { readonly spki: Uint8Array }
  /** In milliseconds since the Unix epoch; back-dated by the caller, since peers' clocks run behind. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** @default `<trust domain> root`, or `<trust domain> intermediate` */
  readonly commonName?: string
  /** Whether it may certify names of its own trust domain only. @default false */
  readonly constrained?: boolean
}

export interface SvidOptions {
  /** The SPIFFE ID. */
  readonly id: string
  readonly publicKey: { readonly spki: Uint8Array }
  /** In milliseconds since the Unix epoch; back-dated by the caller, since peers' clocks run behind. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** @default none */
  readonly dnsNames?: readonly string[]
  /** @default made from the key, by WebCrypto, which takes its time */
  readonly subjectKeyIdentifier?: Uint8Array
}

/** The trust anchor of a trust domain, for {@link issueCertificate} without an issuer. */
export function rootTemplate(options: AuthorityOptions): CertificateTemplate {
  return authorityTemplate({ commonName: `${options.trustDomain} root`, ...options })
}

/** An authority below a root, that issues leaves only. */
export function intermediateTemplate(options: AuthorityOptions): CertificateTemplate {
  return {
    ...authorityTemplate({ commonName: `${options.trustDomain} intermediate`, ...options }),
    pathLength: 0,
  }
}

/** The leaf of an X509-SVID (the SPIFFE standard X509-SVID §2 to §4): its name is its URI, and its subject empty. */
export function svidTemplate({ id, dnsNames = [], ...rest }: SvidOptions): CertificateTemplate {
  return {
    ...rest,
    ca: false,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: [Oid.serverAuth, Oid.clientAuth],
    uris: [id],
    dnsNames,
  }
}

/**
 * Signs a certificate. The result has been read back by our own parser.
 *
 * @throws CertificateError PKI_KEY_MISMATCH when the key is not the issuer's, PKI_NOT_A_CA when the issuer may not
 * issue, PKI_UNSUPPORTED for a key that cannot sign certificates
 * @throws RangeError when the validity ends before it begins or outlasts the issuer's
 */
export async function issueCertificate(
  template: CertificateTemplate,
  { issuer, signingKey }: SigningOptions,
): Promise<Certificate> {
  checkTemplate(template, issuer)
  if (issuer !== undefined) checkKeyMatch(issuer, signingKey)
  const { signCertificate } = await import('./x509.ts')
  const certificate = parseCertificate(
    await signCertificate(template, issuer === undefined ? { signingKey } : { issuer, signingKey }),
  )
  if (issuer === undefined) checkKeyMatch(certificate, signingKey)
  return certificate
}

function authorityTemplate({
  trustDomain,
  commonName,
  constrained = false,
  ...rest
}: AuthorityOptions & { readonly commonName: string }): CertificateTemplate {
  const constraints: Extension = {
    oid: Oid.nameConstraints,
    critical: true,
    value: encodeNameConstraints({ permittedUris: [trustDomain] }),
  }
  return {
    ...rest,
    commonName,
    ca: true,
    keyUsage: ['keyCertSign', 'cRLSign'],
    // The SPIFFE standard X509-SVID §3.1: an authority bears the name of its trust domain.
    uris: [`spiffe://${trustDomain}`],
    extensions: constrained ? [constraints] : [],
  }
}

function checkTemplate(
  { notBeforeMs, notAfterMs }: CertificateTemplate,
  issuer: Certificate | undefined,
): void {
  if (!(notBeforeMs <= notAfterMs)) throw new RangeError('A certificate cannot end before it begins')
  if (issuer === undefined) return
  if (issuer.basicConstraints?.ca !== true || issuer.keyUsage?.usages.includes('keyCertSign') === false)
    throw refused('PKI_NOT_A_CA', issuer, 'may not issue certificates')
  if (notAfterMs > issuer.notAfterMs + 999) throw new RangeError('A certificate cannot outlast its issuer')
}
