import type { CryptoProvider } from '../crypto/provider.ts'
import { SpiffeId } from '../identity/spiffe-id.ts'
import { svidVerifier } from '../identity/svid-verifier.ts'
import type { CertificateMemory } from '../pki/certificate-memory.ts'
import type { CertificateVerifier } from '../pki/verifier.ts'
import type { MeshView } from './mesh-view.ts'

/** Who is accepted: one verifier for all connections under a view that look for the same peer, which keep it for as long as they live. */
export class PeerVerifiers {
  readonly #crypto: CryptoProvider
  readonly #certificates: CertificateMemory
  /** By whom they look for. A view goes, and they with it. */
  readonly #ofViews = new WeakMap<MeshView, Map<string, CertificateVerifier>>()

  /** @param certificates what is known of peers that were here before */
  constructor(crypto: CryptoProvider, certificates: CertificateMemory) {
    this.#crypto = crypto
    this.#certificates = certificates
  }

  /**
   * @param expected the SPIFFE ID that the peer must have. @default anyone whom the trust bundles know
   * @throws IdentityError when that is no SPIFFE ID
   */
  under(view: MeshView, expected = ''): CertificateVerifier {
    let known = this.#ofViews.get(view)
    if (known === undefined) this.#ofViews.set(view, (known = new Map()))
    let verifier = known.get(expected)
    if (verifier === undefined) known.set(expected, (verifier = this.#make(view, expected)))
    return verifier
  }

  #make({ bundles, revocations }: MeshView, expected: string): CertificateVerifier {
    return svidVerifier({
      bundles: () => bundles,
      revocations: () => revocations,
      crypto: this.#crypto,
      certificates: this.#certificates,
      ...(expected !== '' && { expected: SpiffeId.parse(expected) }),
    })
  }
}
