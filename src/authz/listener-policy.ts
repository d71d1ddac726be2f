import type { DecisionCause } from './decision.ts'
import { type ListenerFacts, ruleForListener } from './listener-rule.ts'
import { RuleIndex } from './rule-index.ts'
import type { CompiledRule } from './rule.ts'
import type { Subject } from './subject.ts'
import type { PolicyRules, WorkloadRules } from './workload-rules.ts'

/** How the rules fall on a request. */
export interface Verdict {
  readonly isAllowed: boolean
  readonly cause: DecisionCause
  /** The rule that decided, if one did. */
  readonly rule?: CompiledRule
}

/** More rules of AUDIT policies than this say nothing more. */
const MAX_AUDITED = 8

/** The policy for one workload on one listener: what its port and protocol settle is settled. */
export class ListenerPolicy {
  readonly #inForce: Judge
  /** The rules as if the dry-run policies were in force, too; absent when there are none. */
  readonly #dryRun: Judge | undefined
  readonly #audit: RuleIndex

  constructor({ policies, defaultAction }: WorkloadRules, listener: ListenerFacts) {
    const inForce = policies.filter(({ dryRun }) => !dryRun)
    this.#inForce = new Judge(inForce, defaultAction, listener)
    this.#dryRun = policies.some(({ dryRun, action }) => dryRun && action !== 'AUDIT')
      ? new Judge(policies, defaultAction, listener)
      : undefined
    this.#audit = indexOf(inForce, 'AUDIT', listener)
  }

  /** What policy says. */
  judge(subject: Subject): Verdict {
    return this.#inForce.judge(subject)
  }

  /** What policy would say if the dry-run policies were in force; undefined when there are none. */
  judgeDryRun(subject: Subject): Verdict | undefined {
    return this.#dryRun?.judge(subject)
  }

  /** The first rules of AUDIT policies that match. */
  audited(subject: Subject): readonly CompiledRule[] {
    return this.#audit.matching(subject, MAX_AUDITED)
  }
}

/** DENY rules first, then ALLOW rules, then the default. */
class Judge {
  readonly #deny: RuleIndex
  readonly #allow: RuleIndex
  readonly #otherwise: Verdict

  constructor(
    policies: readonly PolicyRules[],
    defaultAction: WorkloadRules['defaultAction'],
    listener: ListenerFacts,
  ) {
    this.#deny = indexOf(policies, 'DENY', listener)
    this.#allow = indexOf(policies, 'ALLOW', listener)
    if (policies.some(({ action }) => action === 'ALLOW'))
      this.#otherwise = { isAllowed: false, cause: 'no-matching-rule' }
    else if (defaultAction === 'ALLOW') this.#otherwise = { isAllowed: true, cause: 'allowed-by-default' }
    else this.#otherwise = { isAllowed: false, cause: 'no-allow-policy' }
  }

  judge(subject: Subject): Verdict {
    const [denying] = this.#deny.matching(subject, 1)
    if (denying !== undefined) return { isAllowed: false, cause: 'denied-by-rule', rule: denying }
    const [allowing] = this.#allow.matching(subject, 1)
    if (allowing !== undefined) return { isAllowed: true, cause: 'allowed', rule: allowing }
    return this.#otherwise
  }
}

function indexOf(
  policies: readonly PolicyRules[],
  action: PolicyRules['action'],
  listener: ListenerFacts,
): RuleIndex {
  const rules = policies.filter((policy) => policy.action === action).flatMap((policy) => policy.rules)
  return new RuleIndex(rules.flatMap((rule) => ruleForListener(rule, listener) ?? []))
}
