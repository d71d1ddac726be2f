import type { AuthorizationPolicy, PolicyAction, PolicyOperation } from '../config/policy-config.ts'
import { policyName } from './policy-name.ts'
import {
  connectionPredicates,
  httpPredicates,
  type Predicate,
  sourcePredicates,
  type Subject,
} from './predicates.ts'

/** A rule ready to be asked, for HTTP requests or for connections that carry bytes. */
export interface CompiledRule {
  /** `namespace/name`. */
  readonly policy: string
  readonly index: number
  /** Any of these must hold as a whole; they depend on the principal alone. */
  readonly sources: readonly (readonly Predicate[])[]
  /** Any of these must hold as a whole. */
  readonly operations: readonly (readonly Predicate[])[]
}

/** What a listener's traffic is read as. */
export type Transport = 'http' | 'tcp'

/** A list that is absent holds as a whole. */
const ANYTHING: readonly (readonly Predicate[])[] = [[]]

/**
 * The rules of a policy.
 *
 * Of a connection that carries bytes nobody knows the method or the path, so conditions on them fail closed: in an
 * ALLOW policy they never hold; in a DENY policy they are taken to hold, or it could be evaded by speaking to a
 * listener that does not look.
 */
export function compileRules(policy: AuthorizationPolicy, transport: Transport): CompiledRule[] {
  const { action, rules } = policy.spec
  return rules.map(({ from, to }, index) => ({
    policy: policyName(policy),
    index,
    sources: from?.map(sourcePredicates) ?? ANYTHING,
    operations: to?.map((operation) => compileOperation(operation, action, transport)) ?? ANYTHING,
  }))
}

/** Whether any of the alternatives holds as a whole. */
export function anyHolds(alternatives: readonly (readonly Predicate[])[], subject: Subject): boolean {
  return alternatives.some((predicates) => predicates.every((predicate) => predicate.holds(subject)))
}

function compileOperation(
  operation: PolicyOperation,
  action: PolicyAction,
  transport: Transport,
): Predicate[] {
  const onConnection = connectionPredicates(operation)
  if (transport === 'tcp' && action === 'DENY') return onConnection
  return [...onConnection, ...httpPredicates(operation)]
}
