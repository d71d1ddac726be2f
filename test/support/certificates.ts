/** Mints certificates with any defect a test may want: templates can be overridden and nothing is checked. */
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { PrivateKey } from '../../src/crypto/provider.ts'
import { trustBundle, TrustBundles } from '../../src/identity/trust-bundle.ts'
import type { TrustBundle } from '../../src/identity/trust-bundle.ts'
import type { Certificate, Extension } from '../../src/pki/certificate.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { intermediateTemplate, rootTemplate, svidTemplate } from '../../src/pki/issue.ts'
import type { CertificateTemplate } from '../../src/pki/issue.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { encodePrivateKeyPem } from '../../src/pki/private-key.ts'
import { signCertificate } from '../../src/pki/x509.ts'

/** A certificate with its key; also a credential for TLS. */
export interface Minted {
  readonly certificate: Certificate
  readonly key: PrivateKey
  /** What a peer would send: the certificate and the intermediates above it, without the root. */
  readonly chain: readonly Certificate[]
}

/** What differs from a proper certificate. */
export type MintOptions = Partial<Omit<CertificateTemplate, 'publicKey'>> & {
  /** What validity counts from. @default now */
  readonly nowMs?: number
  /** @default a new P-256 key */
  readonly key?: PrivateKey
  /** Signs in place of the issuer's key. */
  readonly signWith?: PrivateKey
  /** Parts of the template to leave out altogether. */
  readonly without?: readonly (keyof CertificateTemplate)[]
}

export const TRUST_DOMAIN = 'shop.example'

/** A critical extension that nobody understands. */
export const UNKNOWN_CRITICAL: Extension = {
  oid: '1.3.6.1.4.1.99999.1',
  critical: true,
  value: Uint8Array.of(0x05, 0x00),
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** A self-signed root of {@link TRUST_DOMAIN}, good for ten years. */
export function mintRoot(options: MintOptions = {}): Promise<Minted> {
  const key = options.key ?? newKey()
  const template = rootTemplate({
    trustDomain: TRUST_DOMAIN,
    ...lifetime(options, 3650 * DAY_MS),
    publicKey: key.publicKey,
  })
  return mint(template, { ...options, key }, undefined)
}

/** An intermediate that may issue leaves, good for 30 days. */
export function mintIntermediate(issuer: Minted, options: MintOptions = {}): Promise<Minted> {
  const key = options.key ?? newKey()
  const template = intermediateTemplate({
    trustDomain: TRUST_DOMAIN,
    ...lifetime(options, 30 * DAY_MS),
    publicKey: key.publicKey,
  })
  return mint(template, { ...options, key }, issuer)
}

/** An X509-SVID, good for an hour. */
export function mintSvid(
  issuer: Minted,
  id: string = `spiffe://${TRUST_DOMAIN}/ns/default/sa/web`,
  options: MintOptions = {},
): Promise<Minted> {
  const key = options.key ?? newKey()
  const template = svidTemplate({ id, ...lifetime(options, HOUR_MS), publicKey: key.publicKey })
  return mint(template, { ...options, key }, issuer)
}

/** A leaf for host names, as on the web: `localhost`, 127.0.0.1 and ::1 unless told otherwise. */
export function mintLeaf(issuer: Minted, options: MintOptions = {}): Promise<Minted> {
  const names = {
    commonName: 'localhost',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1', '::1'],
    uris: [],
  }
  return mintSvid(issuer, undefined, { ...names, ...options })
}

/** A root, an intermediate and the bundles that trust them. */
export interface MintedTrustDomain {
  readonly root: Minted
  readonly intermediate: Minted
  readonly bundle: TrustBundle
  readonly bundles: TrustBundles
}

/** A whole trust domain; mint its SVIDs with `mintSvid(domain.intermediate, …)`. */
export async function mintTrustDomain(
  trustDomain: string = TRUST_DOMAIN,
  options: Pick<MintOptions, 'nowMs'> = {},
): Promise<MintedTrustDomain> {
  const uris = [`spiffe://${trustDomain}`]
  const root = await mintRoot({ ...options, commonName: `${trustDomain} root`, uris })
  const intermediate = await mintIntermediate(root, {
    ...options,
    commonName: `${trustDomain} intermediate`,
    uris,
  })
  const bundle = trustBundle(trustDomain, [root.certificate])
  return { root, intermediate, bundle, bundles: new TrustBundles([bundle]) }
}

/** The files that an operator would have: the chain, and the key. */
export function pemOf({ chain, certificate, key }: Minted): { readonly cert: string; readonly key: string } {
  const certificates = chain.length === 0 ? [certificate] : chain
  return {
    cert: certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join(''),
    key: encodePrivateKeyPem(key),
  }
}

async function mint(
  template: CertificateTemplate,
  { key, signWith, without = [], ...overrides }: MintOptions & { readonly key: PrivateKey },
  issuer: Minted | undefined,
): Promise<Minted> {
  const whole = { ...template, ...overrides }
  for (const part of without) delete whole[part]
  const signingKey = signWith ?? issuer?.key ?? key
  const der = await signCertificate(
    whole,
    issuer === undefined ? { signingKey } : { issuer: issuer.certificate, signingKey },
  )
  const certificate = parseCertificate(der)
  // Roots are not sent, so theirs is empty.
  return { certificate, key, chain: issuer === undefined ? [] : [certificate, ...issuer.chain] }
}

function lifetime(
  { nowMs = Date.now() }: MintOptions,
  ttlMs: number,
): { notBeforeMs: number; notAfterMs: number } {
  return { notBeforeMs: nowMs - 5 * MINUTE_MS, notAfterMs: nowMs + ttlMs }
}

function newKey(): PrivateKey {
  return nativeCrypto().generateKey('ec-p256')
}
