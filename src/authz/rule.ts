import type { AuthorizationPolicy } from '../config/policy-config.ts'
import { conditionPredicates } from './condition-predicates.ts'
import { operationPredicates } from './operation-predicates.ts'
import { policyName } from './policy-name.ts'
import type { Predicate } from './predicate.ts'
import { sourcePredicates } from './source-predicates.ts'

/** A rule ready to be asked. */
export interface CompiledRule {
  /** `namespace/name`. */
  readonly policy: string
  readonly index: number
  /** As reasons name it. */
  readonly label: string
  readonly dryRun: boolean
  /** Any of these must hold as a whole. */
  readonly sources: readonly (readonly Predicate[])[]
  /** Any of these must hold as a whole. */
  readonly operations: readonly (readonly Predicate[])[]
  /** All of these must hold. */
  readonly conditions: readonly (readonly Predicate[])[]
}

/** A list that is absent holds as a whole. */
const ANYTHING: readonly (readonly Predicate[])[] = [[]]

/**
 * The rules of a policy.
 *
 * Of a connection that carries bytes nobody knows the method or the path, so conditions on them fail closed: in an
 * ALLOW policy they never hold; in a DENY policy they are taken to hold, or it could be evaded by speaking to a
 * listener that does not look.
 */
export function compileRules(policy: AuthorizationPolicy): CompiledRule[] {
  const { action, dryRun = false, rules } = policy.spec
  const context = { namespace: policy.metadata.namespace, action }
  return rules.map(({ from, to, when }, index) => ({
    policy: policyName(policy),
    index,
    label: `${policyName(policy)} rule ${index}`,
    dryRun,
    sources: from?.map((source) => sourcePredicates(source, context)) ?? ANYTHING,
    operations: to?.map((operation) => operationPredicates(operation, context)) ?? ANYTHING,
    conditions: when?.map((condition) => conditionPredicates(condition, context)) ?? [],
  }))
}
