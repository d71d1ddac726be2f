import { type ListenerFacts, ruleForListener } from '../listener-rule.ts'
import { compileRules } from '../rule.ts'
import type { AuthorizationPolicy } from '../../config/policy-config.ts'
import type { ValueProblem } from '../value-problems.ts'

/** Rules of an ALLOW policy that allow nothing on any of the listeners: their port is another, or it carries bytes and they read HTTP. */
export function unreachableRules(
  policy: AuthorizationPolicy,
  listeners: readonly ListenerFacts[],
): ValueProblem[] {
  if (policy.spec.action !== 'ALLOW') return []
  return compileRules(policy).flatMap((rule) => {
    if (listeners.some((listener) => ruleForListener(rule, listener) !== undefined)) return []
    const field = ['spec', 'rules', rule.index]
    const got = 'one that asks for another port, or for HTTP where bytes are carried'
    return [{ field, expected: 'a rule that can match on a listener of the proxy', got }]
  })
}
