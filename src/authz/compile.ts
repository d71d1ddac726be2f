import { utf8 } from '../bytes/bytes.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import { PolicySet } from './policy-set.ts'
import { canonicalResources } from './canonical.ts'
import type { PolicyResources } from './resources.ts'
import { serializePolicies } from './serialize.ts'

/** What compiling takes. */
export interface CompileOptions {
  /** For the revision. */
  readonly crypto: Pick<CryptoProvider, 'digest'>
  /** The mesh's own trust domain: `namespaces` in a policy are those of its workloads and no other's. */
  readonly trustDomain: string
  /** A new decision id at each call; ids are never the same. */
  readonly newId: () => string
}

/** Puts policies to use. The revision is the beginning of the SHA-256 of their canonical text. */
export function compilePolicies(
  resources: PolicyResources,
  { crypto, trustDomain, newId }: CompileOptions,
): PolicySet {
  const canonical = canonicalResources(resources)
  const digest = crypto.digest('sha256', utf8(serializePolicies(canonical)))
  // 64 bits tell apart all the revisions that a mesh will ever see, and can be read aloud.
  const revision = digest.subarray(0, 8).toHex()
  return new PolicySet(canonical, { revision, trustDomain, newId })
}
