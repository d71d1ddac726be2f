import type { AuthorizationPolicy, PolicyAction, PolicyOperation } from '../config/policy-config.ts'
import { type DecisionContext, type Permit, type RuleSet, WorkloadPolicy } from './decide.ts'
import type { Denial } from './decision.ts'
import { policyName } from './policy-name.ts'
import type { AuthorizationRequest, Workload } from './request.ts'
import { compileRules, type Transport } from './rule.ts'

/** Policies in this namespace are for the workloads of every namespace. */
const ROOT_NAMESPACE = 'handfast-system'

/** Policies put to use together. Immutable: a change makes a new set, with a new revision. */
export class PolicySet {
  /** The same policies have the same revision, wherever and in whatever order they were read. */
  readonly revision: string
  /** Whose namespaces policy means. */
  readonly trustDomain: string
  /** In canonical order. */
  readonly policies: readonly AuthorizationPolicy[]
  readonly #context: DecisionContext
  readonly #workloads = new Map<string, WorkloadPolicy>()

  /** @param policies in canonical order, found good: see `compilePolicies` */
  constructor(policies: readonly AuthorizationPolicy[], context: DecisionContext) {
    this.revision = context.revision
    this.trustDomain = context.trustDomain
    this.policies = policies
    this.#context = context
  }

  /** Decides one request; who decides many for one workload keeps what {@link forWorkload} returns. */
  decide(request: AuthorizationRequest): Permit | Denial {
    return this.forWorkload(request.workload).decide(request)
  }

  /** The policies that have a say about one workload: all that whoever decides for it alone needs. */
  selectedFor(workload: Workload): readonly AuthorizationPolicy[] {
    return this.policies.filter((policy) => selects(policy, workload))
  }

  /** The part of the policy that is for one workload, ready for the hot path. */
  forWorkload(workload: Workload): WorkloadPolicy {
    const key = `${workload.namespace}/${workload.serviceAccount}`
    const known = this.#workloads.get(key)
    if (known !== undefined) return known
    const selected = this.selectedFor(workload)
    const operations = selected.flatMap(({ spec }) => spec.rules.flatMap(({ to }) => to ?? []))
    const rules = {
      http: ruleSet(selected, 'http'),
      tcp: ruleSet(selected, 'tcp'),
      readsMethod: operations.some(readsMethod),
      readsPath: operations.some(readsPath),
    }
    const specialised = new WorkloadPolicy(workload, rules, this.#context)
    if (this.#workloads.size >= MAX_WORKLOADS) this.#workloads.clear()
    this.#workloads.set(key, specialised)
    return specialised
  }
}

/** A proxy stands before one workload; a simulation asks about all of them. */
const MAX_WORKLOADS = 1_024

function selects({ metadata, spec }: AuthorizationPolicy, workload: Workload): boolean {
  if (metadata.namespace !== ROOT_NAMESPACE && metadata.namespace !== workload.namespace) return false
  return spec.selector === undefined || spec.selector.serviceAccounts.includes(workload.serviceAccount)
}

function ruleSet(policies: readonly AuthorizationPolicy[], transport: Transport): RuleSet {
  const withAction = (action: PolicyAction): AuthorizationPolicy[] =>
    policies.filter(({ spec }) => spec.action === action)
  return {
    deny: withAction('DENY').flatMap((policy) => compileRules(policy, transport)),
    allow: new Map(
      withAction('ALLOW').map((policy) => [policyName(policy), compileRules(policy, transport)] as const),
    ),
  }
}

function readsMethod({ methods, notMethods }: PolicyOperation): boolean {
  return methods !== undefined || notMethods !== undefined
}

function readsPath({ paths, notPaths }: PolicyOperation): boolean {
  return paths !== undefined || notPaths !== undefined
}
