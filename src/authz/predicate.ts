import type { PolicyAction } from '../config/policy-config.ts'
import type { Subject } from './subject.ts'

/**
 * What a condition's answer rests on: the peer's identity alone, the listener's port, the connection, or an HTTP request.
 * The answer is the same for as long as that is.
 */
export type PredicateScope = 'peer' | 'port' | 'connection' | 'http'

/** One condition of a rule, with what it takes to explain it. */
export interface Predicate {
  /** The field's name in the entry that it stands in, such as `principals` or `headers[0].values`. */
  readonly field: string
  readonly scope: PredicateScope
  readonly wanted: readonly (string | number)[]
  /** Patterns of which one must match, where rules can be found by them. */
  readonly keys?: readonly string[]
  /** The part of the subject that it looks at. */
  got(subject: Subject): string | number | undefined
  holds(subject: Subject): boolean
}

/** Where a rule stands, and what for. */
export interface RuleContext {
  /** The namespace of the policy. */
  readonly namespace: string
  readonly action: PolicyAction
}

/**
 * The answer of a condition on what is not known: it fails closed. An ALLOW does not match; a DENY does, or it could be
 * evaded by being unclear.
 */
export function whenUnknown({ action }: Pick<RuleContext, 'action'>): boolean {
  return action !== 'ALLOW'
}
