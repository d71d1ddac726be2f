import type { X509Svid } from '../identity/svid.ts'
import type { TrustBundles } from '../identity/trust-bundle.ts'

/** Who we are and whom we trust, at one moment. Immutable: readers keep the one they began with. */
export interface IdentitySnapshot {
  readonly svid: X509Svid
  readonly bundles: TrustBundles
  /** Grows by one with every change. */
  readonly version: number
}

/** Where the rest of the program finds its identity. */
export interface IdentitySource {
  /** The newest X.509-SVID; undefined before the first. It may have expired when renewals failed for long. */
  current(): X509Svid | undefined
  /** The newest trust bundles: from the start those that were configured. */
  bundles(): TrustBundles
  /** Calls `listener` after every change of either; returns the way to stop that. */
  onChange(listener: (snapshot: IdentitySnapshot) => void): () => void
}
