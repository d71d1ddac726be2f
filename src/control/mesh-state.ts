import type { Revocations } from '../identity/revocations.ts'
import type { TrustBundles } from '../identity/trust-bundle.ts'

/** All that a controller tells its proxies. Immutable. */
export interface MeshState {
  readonly bundles: TrustBundles
  /** Every policy, as authz/serialize.ts writes them: UTF-8. */
  readonly policies: Uint8Array
  readonly policyRevision: string
  /** The key sets of issuers of tokens, by where they are published; those that could not be had yet are absent. @default none */
  readonly keySets?: ReadonlyMap<string, string>
  /**
   * Whoever has a certificate that another key signed shall renew it now: the key's SubjectPublicKeyInfo.
   *
   * @default certificates are renewed when it is time
   */
  readonly signerKey?: Uint8Array | undefined
  /** What is no longer accepted. @default nothing is revoked */
  readonly revocations?: Revocations | undefined
}

/** Which state, of which run of a controller. */
export interface StateVersion {
  /** Each start of a controller is an epoch of its own. */
  readonly epoch: string
  /** From 1; each change has the next. */
  readonly number: number
}

/** A state with its version. */
export interface VersionedState extends MeshState {
  readonly version: StateVersion
}

/** Whether both name the same state. */
export function sameVersion(a: StateVersion | undefined, b: StateVersion | undefined): boolean {
  return a !== undefined && b !== undefined && a.epoch === b.epoch && a.number === b.number
}
