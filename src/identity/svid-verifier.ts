import type { CryptoProvider } from '../crypto/provider.ts'
import type { Certificate } from '../pki/certificate.ts'
import type { CertificateMemory } from '../pki/certificate-memory.ts'
import { listText } from '../pki/label.ts'
import { validatePath } from '../pki/path.ts'
import { recheckPath } from '../pki/recheck.ts'
import type { CertificateVerifier, VerificationContext, VerifiedPeer } from '../pki/verifier.ts'
import { IdentityError } from './errors.ts'
import type { Revocations } from './revocations.ts'
import type { SpiffeId } from './spiffe-id.ts'
import { svidIdentity } from './svid.ts'
import type { TrustBundles } from './trust-bundle.ts'

export interface SvidVerifierOptions {
  /** Asked anew for each handshake, so that a rotation needs no new verifier. */
  readonly bundles: () => TrustBundles
  readonly crypto: CryptoProvider
  /** Who the peer must be; a function may allow several. @default anyone of a trust domain that has a bundle */
  readonly expected?: SpiffeId | ((id: SpiffeId) => boolean)
  /** What is no longer accepted, asked anew for each handshake. @default nothing is revoked */
  readonly revocations?: (() => Revocations) | undefined
  /** Remembers which chains were found valid. @default each is verified anew */
  readonly certificates?: CertificateMemory | undefined
}

/**
 * A verifier for peers that are known by SPIFFE ID. The chain is verified with the bundle of the trust domain
 * that the leaf names, and with no other. The name of the verified peer is its SPIFFE ID.
 *
 * All it throws is a CertificateError; of those, what concerns the identity is an IdentityError.
 */
export function svidVerifier({
  bundles,
  crypto,
  expected,
  revocations,
  certificates,
}: SvidVerifierOptions): CertificateVerifier {
  return {
    get authorities(): readonly Uint8Array[] {
      return Array.from(bundles(), ({ anchors }) => anchors.map(({ subject }) => subject.der)).flat()
    },
    verify(chain: readonly Certificate[], { peerRole, nowMs }: VerificationContext): VerifiedPeer {
      const [leaf] = chain
      if (leaf === undefined) throw new TypeError('A chain has at least its leaf')
      const id = svidIdentity(leaf)
      const anchors = anchorsFor(id, leaf, bundles())
      const usage = peerRole === 'server' ? 'serverAuth' : 'clientAuth'
      const options = { anchors, nowMs, crypto, usage } as const
      const { path, expiresAtMs } = certificates?.validate(chain, options) ?? validatePath(chain, options)
      const name = id.toString()
      revocations?.().check({ name, path }, crypto)
      checkExpected(id, leaf, expected)
      return { name, expiresAtMs, path }
    },
    reverify({ path }: VerifiedPeer, { nowMs }: VerificationContext): void {
      const leaf = path[0]!
      const id = svidIdentity(leaf)
      recheckPath(path, { anchors: anchorsFor(id, leaf, bundles()), nowMs })
      revocations?.().check({ name: id.toString(), path }, crypto)
      checkExpected(id, leaf, expected)
    },
  }
}

function anchorsFor(id: SpiffeId, certificate: Certificate, bundles: TrustBundles): readonly Certificate[] {
  const bundle = bundles.lookup(id.trustDomain)
  if (bundle !== undefined) return bundle.anchors
  const known = listText(bundles.trustDomains)
  throw new IdentityError(
    'IDENTITY_UNKNOWN_TRUST_DOMAIN',
    `The peer claims to be ${id.toString()}, and there is no trust bundle for ${id.trustDomain}; there is one for ${known || 'none'}`,
    { certificate },
  )
}

function checkExpected(
  id: SpiffeId,
  certificate: Certificate,
  expected: SvidVerifierOptions['expected'],
): void {
  if (expected === undefined) return
  if (typeof expected === 'function') {
    if (expected(id)) return
    throw new IdentityError(
      'IDENTITY_MISMATCH',
      `The peer is ${id.toString()}, which is not among the identities expected here`,
      {
        certificate,
      },
    )
  }
  if (id.equals(expected)) return
  throw new IdentityError(
    'IDENTITY_MISMATCH',
    `The peer is ${id.toString()}, expected ${expected.toString()}`,
    { certificate },
  )
}
