import type { PolicyAction } from '../config/policy-config.ts'
import type { PolicyResources } from './resources.ts'
import { policyName } from './policy-name.ts'
import { type PolicyReads, readsOf } from './policy-reads.ts'
import { type CompiledRule, compileRules } from './rule.ts'

/** The rules of one policy. */
export interface PolicyRules {
  /** `namespace/name`. */
  readonly policy: string
  readonly action: PolicyAction
  readonly dryRun: boolean
  readonly rules: readonly CompiledRule[]
}

/** The policy for one workload, in the order in which it is asked. */
export interface WorkloadRules {
  readonly policies: readonly PolicyRules[]
  readonly reads: PolicyReads
  /** What happens where no ALLOW policy is for the workload. */
  readonly defaultAction: 'ALLOW' | 'DENY'
}

/** @param resources in canonical order, of one workload */
export function workloadRules({
  authorizationPolicies,
  authorizationDefault,
}: PolicyResources): WorkloadRules {
  return {
    policies: authorizationPolicies.map((policy) => ({
      policy: policyName(policy),
      action: policy.spec.action,
      dryRun: policy.spec.dryRun === true,
      rules: compileRules(policy),
    })),
    reads: readsOf(authorizationPolicies),
    defaultAction: authorizationDefault?.spec.action ?? 'DENY',
  }
}
