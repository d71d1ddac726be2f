import { equalBytes } from '../bytes/bytes.ts'
import type { Certificate } from '../pki/certificate.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { certificateLabel, listText } from '../pki/label.ts'
import { decodePem, encodePem } from '../pki/pem.ts'
import { IdentityError } from './errors.ts'
import { SpiffeId } from './spiffe-id.ts'

/** The certificates that a trust domain's identities are verified with. Immutable. */
export interface TrustBundle {
  readonly trustDomain: string
  /** At least one; all are certificate authorities. */
  readonly anchors: readonly Certificate[]
}

/**
 * A bundle of these anchors, each kept once.
 *
 * @throws IdentityError IDENTITY_MALFORMED, IDENTITY_BUNDLE
 */
export function trustBundle(trustDomain: string, anchors: readonly Certificate[]): TrustBundle {
  SpiffeId.ofTrustDomain(trustDomain)
  const unique: Certificate[] = []
  for (const anchor of anchors) {
    checkAnchor(anchor, trustDomain)
    if (!unique.some(({ der }) => equalBytes(der, anchor.der))) unique.push(anchor)
  }
  if (unique.length === 0)
    throw new IdentityError('IDENTITY_BUNDLE', `The trust bundle of ${trustDomain} holds no certificate`)
  return { trustDomain, anchors: unique }
}

/**
 * Reads a bundle from PEM text.
 *
 * @throws IdentityError IDENTITY_MALFORMED, IDENTITY_BUNDLE
 * @throws CertificateError PKI_PEM, PKI_MALFORMED
 */
export function readTrustBundlePem(trustDomain: string, text: string): TrustBundle {
  return trustBundle(trustDomain, decodePem(text, 'CERTIFICATE').map(parseCertificate))
}

/** The anchors as PEM text. */
export function encodeTrustBundlePem({ anchors }: TrustBundle): string {
  return anchors.map(({ der }) => encodePem('CERTIFICATE', der)).join('')
}

/** One bundle for each trust domain. They are never merged: a domain vouches for itself alone. Immutable. */
export class TrustBundles implements Iterable<TrustBundle> {
  readonly #byDomain: ReadonlyMap<string, TrustBundle>

  /** @throws IdentityError IDENTITY_BUNDLE when a trust domain has two */
  constructor(bundles: Iterable<TrustBundle>) {
    const byDomain = new Map<string, TrustBundle>()
    for (const bundle of bundles) {
      if (byDomain.has(bundle.trustDomain))
        throw new IdentityError('IDENTITY_BUNDLE', `There are two trust bundles for ${bundle.trustDomain}`)
      byDomain.set(bundle.trustDomain, bundle)
    }
    this.#byDomain = byDomain
  }

  /** @throws IdentityError IDENTITY_BUNDLE when a trust domain has two */
  static of(...bundles: readonly TrustBundle[]): TrustBundles {
    return new TrustBundles(bundles)
  }

  /** The bundle of exactly this trust domain. */
  lookup(trustDomain: string): TrustBundle | undefined {
    return this.#byDomain.get(trustDomain)
  }

  /** The same set with `bundle` in place of the one of its trust domain. */
  with(bundle: TrustBundle): TrustBundles {
    return new TrustBundles(new Map(this.#byDomain).set(bundle.trustDomain, bundle).values())
  }

  get trustDomains(): readonly string[] {
    return [...this.#byDomain.keys()]
  }

  [Symbol.iterator](): Iterator<TrustBundle> {
    return this.#byDomain.values()
  }
}

function checkAnchor(anchor: Certificate, trustDomain: string): void {
  const refuse = (problem: string): IdentityError =>
    new IdentityError(
      'IDENTITY_BUNDLE',
      `The anchor ${certificateLabel(anchor)} of ${trustDomain} ${problem}`,
      {
        certificate: anchor,
      },
    )
  if (anchor.basicConstraints?.ca !== true) throw refuse('is no certificate authority')
  if (anchor.keyUsage !== undefined && !anchor.keyUsage.usages.includes('keyCertSign'))
    throw refuse('may not sign certificates: its keyUsage lacks keyCertSign')
  // X509-SVID §3.1: an authority's SPIFFE ID, if it has one, is that of its trust domain.
  const own = anchor.subjectAltNames.uris.filter((uri) => uri.startsWith('spiffe:'))
  if (own.some((uri) => uri !== SpiffeId.ofTrustDomain(trustDomain).toString()))
    throw refuse(`belongs to another trust domain: ${listText(own)}`)
}
