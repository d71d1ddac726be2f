import { type DecisionContext, type Permit, WorkloadPolicy } from './decide.ts'
import type { Denial } from './decision.ts'
import type { AuthorizationRequest, Workload } from './request.ts'
import { type PolicyResources, resourcesFor } from './resources.ts'
import { workloadRules } from './workload-rules.ts'

/** Policies put to use together. Immutable: a change makes a new set, with a new revision. */
export class PolicySet {
  /** The same policies have the same revision, wherever and in whatever order they were read. */
  readonly revision: string
  /** Whose namespaces policy means. */
  readonly trustDomain: string
  /** In canonical order. */
  readonly resources: PolicyResources
  readonly #context: DecisionContext
  readonly #workloads = new Map<string, WorkloadPolicy>()

  /** @param resources in canonical order, found good: see `compilePolicies` */
  constructor(resources: PolicyResources, context: DecisionContext) {
    this.revision = context.revision
    this.trustDomain = context.trustDomain
    this.resources = resources
    this.#context = context
  }

  /** Decides one request; who decides many for one workload keeps what {@link forWorkload} returns. */
  decide(request: AuthorizationRequest): Permit | Denial {
    return this.forWorkload(request.workload).decide(request)
  }

  /** The policies that have a say about one workload: all that whoever decides for it alone needs. */
  selectedFor(workload: Workload): PolicyResources {
    return resourcesFor(this.resources, workload)
  }

  /** The part of the policy that is for one workload, ready for the hot path. */
  forWorkload(workload: Workload): WorkloadPolicy {
    const key = `${workload.namespace}/${workload.serviceAccount}`
    const known = this.#workloads.get(key)
    if (known !== undefined) return known
    const specialised = new WorkloadPolicy(workload, workloadRules(this.selectedFor(workload)), this.#context)
    if (this.#workloads.size >= MAX_WORKLOADS) this.#workloads.clear()
    this.#workloads.set(key, specialised)
    return specialised
  }
}

/** A proxy stands before one workload; a simulation asks about all of them. */
const MAX_WORKLOADS = 1_024
