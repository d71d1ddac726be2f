import { PolicySet } from '../authz/policy-set.ts'
import { workloadOf } from './authorize.ts'
import type { MeshView } from './mesh-view.ts'

/** Revisions that are listed. */
const KEPT_REVISIONS = 64

/** Revisions whose policies are kept to explain decisions by; a workload's own are small, and changes are rare. */
const KEPT_POLICIES = 16

/** Policy that this proxy was given, and what became of it. */
export interface RevisionEntry {
  readonly revision: string
  /** Of the controller's state that it came with. */
  readonly stateNumber?: number
  readonly receivedAtMs: number
  /** When every data-plane thread worked by it. */
  readonly inForceAtMs?: number
  /** Why it never was. */
  readonly refused?: string
}

type State = 'received' | { readonly inForceAtMs: number } | { readonly refused: string }

/** Which policy this proxy got when. */
export class RevisionHistory {
  readonly #nowMs: () => number
  readonly #entries: { readonly entry: RevisionEntry; state: State }[] = []
  #newest: PolicySet | undefined
  /** Newest last: only what is for this workload, so that the rest of the mesh's policy is not kept alive. */
  readonly #policies = new Map<string, PolicySet>()

  /** @param nowMs wall clock, in milliseconds since the Unix epoch */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Oldest first. */
  get entries(): readonly RevisionEntry[] {
    return this.#entries.map(({ entry, state }) => (state === 'received' ? entry : { ...entry, ...state }))
  }

  /** The policy of a revision as far as it is for this workload; undefined when it is too long ago. */
  policy(revision: string): PolicySet | undefined {
    return this.#policies.get(revision)
  }

  /** @returns the entry for its policy; undefined when it is that of the view before */
  received({ policy, svid, stateNumber }: MeshView): RevisionEntry | undefined {
    if (this.#newest === policy) return undefined
    this.#newest = policy
    const { revision, trustDomain } = policy
    const entry = {
      revision,
      receivedAtMs: this.#nowMs(),
      ...(stateNumber !== undefined && { stateNumber }),
    }
    this.#entries.push({ entry, state: 'received' })
    if (this.#entries.length > KEPT_REVISIONS) this.#entries.shift()
    this.#policies.delete(revision)
    this.#policies.set(
      revision,
      new PolicySet(policy.selectedFor(workloadOf(svid.id)), { revision, trustDomain, newId: () => '' }),
    )
    for (const old of this.#policies.keys()) {
      if (this.#policies.size <= KEPT_POLICIES) break
      this.#policies.delete(old)
    }
    return entry
  }

  /** All threads work by the policy of a view. */
  inForce({ policy }: MeshView): void {
    this.#settle(policy.revision, { inForceAtMs: this.#nowMs() })
  }

  refused({ policy }: MeshView, reason: string): void {
    this.#settle(policy.revision, { refused: reason })
  }

  #settle(revision: string, state: State): void {
    const found = this.#entries.findLast(({ entry }) => entry.revision === revision)
    if (found?.state === 'received') found.state = state
  }
}
