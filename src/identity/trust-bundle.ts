import { equalBytes } from '../bytes/bytes.ts'
import type { Certificate } from '../pki/certificate.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { certificateLabel, listText } from '../pki/label.ts'
import { decodePem, encodePem } from '../pki/pem.ts'
import { IdentityError } from './errors.ts'
import { SpiffeId } from './spiffe-id.ts'

/** A key that signs a trust domain's JWT-SVIDs. */
export interface JwtAuthority {
  /** Tokens name it so. */
  readonly keyId: string
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
}

/** What a trust domain's identities are verified with. Immutable. */
export interface TrustBundle {
  readonly trustDomain: string
  /** For X.509-SVIDs: all are certificate authorities. There is at least one, or a key. */
  readonly anchors: readonly Certificate[]
  /** For JWT-SVIDs; each has a name of its own. */
  readonly jwtAuthorities: readonly JwtAuthority[]
}

/**
 * A bundle of these anchors, each kept once, and of these keys.
 *
 * @throws IdentityError IDENTITY_MALFORMED, IDENTITY_BUNDLE
 */
export function trustBundle(
  trustDomain: string,
  anchors: readonly Certificate[],
  jwtAuthorities: readonly JwtAuthority[] = [],
): TrustBundle {
  SpiffeId.ofTrustDomain(trustDomain)
  const unique: Certificate[] = []
  for (const anchor of anchors) {
    checkAnchor(anchor, trustDomain)
    if (!unique.some(({ der }) => equalBytes(der, anchor.der))) unique.push(anchor)
  }
  if (unique.length + jwtAuthorities.length === 0)
    throw new IdentityError('IDENTITY_BUNDLE', `The trust bundle of ${trustDomain} holds no certificate`)
  const names = jwtAuthorities.map(({ keyId }) => keyId)
  if (names.includes('') || new Set(names).size < names.length)
    throw new IdentityError(
      'IDENTITY_BUNDLE',
      `The trust bundle of ${trustDomain} holds keys that have no name of their own`,
    )
  return { trustDomain, anchors: unique, jwtAuthorities }
}

/** Whether both hold the same, in the same order. */
export function sameBundle(one: TrustBundle | undefined, other: TrustBundle | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return (
    one.trustDomain === other.trustDomain &&
    one.anchors.length === other.anchors.length &&
    one.anchors.every(({ der }, place) => equalBytes(der, other.anchors[place]!.der)) &&
    one.jwtAuthorities.length === other.jwtAuthorities.length &&
    one.jwtAuthorities.every(({ keyId, spki }, place) => {
      const authority = other.jwtAuthorities[place]!
      return keyId === authority.keyId && equalBytes(spki, authority.spki)
    })
  )
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

  /** Whether both hold the same bundles. */
  equals(other: TrustBundles): boolean {
    return (
      this.#byDomain.size === other.#byDomain.size &&
      [...this].every((bundle) => sameBundle(bundle, other.lookup(bundle.trustDomain)))
    )
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
