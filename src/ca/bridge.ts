import { equalBytes } from '../bytes/bytes.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import { SpiffeId } from '../identity/spiffe-id.ts'
import { svidVerifier } from '../identity/svid-verifier.ts'
import { trustBundle, TrustBundles } from '../identity/trust-bundle.ts'
import type { Certificate } from '../pki/certificate.ts'
import { CertificateError } from '../pki/errors.ts'
import { issueCertificate, svidTemplate } from '../pki/issue.ts'
import type { Generation } from './generation.ts'

/** The name of a leaf that is made to be verified once, and handed to nobody. */
const PROBE_PATH = '/handfast/probe'

/**
 * The root of a new generation as the root of the one before signs it: whoever has only the old trust bundle can verify
 * what the new authority signs.
 *
 * @returns undefined when the old root's key is not ours, or its certificate allows no further authority
 */
export async function bridgeFrom(
  { root: { certificate: issuer, key: signingKey } }: Generation,
  root: Certificate,
): Promise<Certificate | undefined> {
  // The same root needs no bridge to itself.
  if (signingKey === undefined || equalBytes(issuer.der, root.der)) return undefined
  return issueCertificate(
    {
      publicKey: root.publicKey,
      subject: root.subject.der,
      subjectKeyIdentifier: root.subjectKeyIdentifier,
      notBeforeMs: Math.max(root.notBeforeMs, issuer.notBeforeMs),
      notAfterMs: Math.min(root.notAfterMs, issuer.notAfterMs),
      ca: true,
      keyUsage: ['keyCertSign', 'cRLSign'],
      uris: root.subjectAltNames.uris,
    },
    { issuer, signingKey },
  )
}

/** The one of `chain` that {@link bridgeFrom} has made for this root, if any. */
export function bridgeOf(root: Certificate, chain: readonly Certificate[]): Certificate | undefined {
  return chain.find(
    ({ subject, publicKey, issuer }) =>
      subject.equals(root.subject) &&
      equalBytes(publicKey.spki, root.publicKey.spki) &&
      !issuer.equals(subject),
  )
}

/**
 * Signs a leaf and verifies it with one anchor, as every peer will.
 *
 * @throws CertificateError why what this generation signs would be refused
 */
export async function probeGeneration(
  { intermediate, chain }: Pick<Generation, 'intermediate' | 'chain'>,
  {
    anchor,
    trustDomain,
    crypto,
    nowMs,
  }: {
    readonly anchor: Certificate
    readonly trustDomain: string
    readonly crypto: CryptoProvider
    readonly nowMs: number
  },
): Promise<void> {
  const id = SpiffeId.parse(`spiffe://${trustDomain}${PROBE_PATH}`)
  const leaf = await issueCertificate(
    svidTemplate({
      id: id.toString(),
      publicKey: crypto.generateKey('ec-p256').publicKey,
      notBeforeMs: intermediate.certificate.notBeforeMs,
      notAfterMs: intermediate.certificate.notAfterMs,
    }),
    { issuer: intermediate.certificate, signingKey: intermediate.key },
  )
  const bundles = TrustBundles.of(trustBundle(trustDomain, [anchor]))
  const verifier = svidVerifier({ bundles: () => bundles, crypto, expected: id })
  const presented = [leaf, intermediate.certificate, ...chain]
  for (const peerRole of ['server', 'client'] as const) verifier.verify(presented, { peerRole, nowMs })
}

/** Whether whoever trusts only `anchor` can verify what a generation signs. */
export async function isBridged(
  generation: Generation,
  context: Parameters<typeof probeGeneration>[1],
): Promise<boolean> {
  try {
    await probeGeneration(generation, context)
    return true
  } catch (error) {
    if (error instanceof CertificateError) return false
    throw error
  }
}
