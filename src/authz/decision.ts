import type { Miss, RuleReport } from './explain.ts'
import type { AuthorizationRequest } from './request.ts'

/** Why a decision fell as it did: few and stable, fit for a metric's label. */
export type DecisionCause =
  /** A rule of an ALLOW policy matched. */
  | 'allowed'
  /** No ALLOW policy is for this workload, and the mesh allows by default. */
  | 'allowed-by-default'
  /** A rule of a DENY policy matched. */
  | 'denied-by-rule'
  /** No ALLOW policy is for this workload. */
  | 'no-allow-policy'
  /** ALLOW policies are for this workload, and no rule of theirs matched. */
  | 'no-matching-rule'
  /** Policy reads the path, and the path can be read in more than one way. */
  | 'ambiguous-path'
  /** Policy reads the method, and the method is no token in upper case. */
  | 'ambiguous-method'
  /** Policy reads the host, and the request names none, or one that can be read in more than one way. */
  | 'ambiguous-host'
  /** Policy reads a header that the application might read otherwise, or not get. */
  | 'ambiguous-header'
  /** The principal is no SPIFFE ID of a workload. */
  | 'no-identity'
  /** The request carries a token that does not hold; policy was not asked. */
  | 'invalid-token'

/** A rule, by its policy's `namespace/name` and its place there. */
export interface RuleName {
  readonly policy: string
  readonly rule: number
}

/** What the decision would have been, had the dry-run policies been in force. */
export interface DryRunOutcome extends Partial<RuleName> {
  readonly kind: 'permit' | 'denial'
  readonly cause: DecisionCause
}

/** What permits and denials have in common. */
export interface DecisionFacts {
  /** Names this decision in logs, and to the peer. */
  readonly id: string
  /** The revision of the policy that decided. */
  readonly revision: string
  readonly cause: DecisionCause
  /** One line for the operator; a peer gets the id only. */
  readonly reason: string
  /** What was asked, as far as policy for the workload reads it. */
  readonly request: AuthorizationRequest
  /** The policy that decided, `namespace/name`, if one did. */
  readonly policy?: string | undefined
  /** The index of the rule that decided, if one did. */
  readonly rule?: number | undefined
  /** The rules of AUDIT policies that matched; absent when none did. */
  readonly audited?: readonly RuleName[] | undefined
  /** Absent when no dry-run policy is for the workload. */
  readonly dryRun?: DryRunOutcome | undefined
}

/** What a decision can tell the operator on demand. */
export interface DecisionExplanation {
  /** For each ALLOW policy that could have allowed the request, what it missed first; none for permits. */
  considered(): readonly Miss[]
  /** Every rule for the workload, in the order in which they are asked, field by field, up to a bound. */
  rules(): readonly RuleReport[]
}

/** Of what was refused before any rule was asked. */
const NOTHING_TO_EXPLAIN: DecisionExplanation = { considered: () => [], rules: () => [] }

/** A refusal. Anyone may make one: refusing is never the mistake. */
export class Denial implements DecisionFacts {
  readonly kind = 'denial'
  readonly id: string
  readonly revision: string
  readonly cause: DecisionCause
  readonly reason: string
  readonly request: AuthorizationRequest
  readonly policy?: string
  readonly rule?: number
  readonly audited?: readonly RuleName[]
  readonly dryRun?: DryRunOutcome
  readonly #explanation: DecisionExplanation

  /** @param explanation worked out only when someone asks */
  constructor(facts: DecisionFacts, explanation: DecisionExplanation = NOTHING_TO_EXPLAIN) {
    this.id = facts.id
    this.revision = facts.revision
    this.cause = facts.cause
    this.reason = facts.reason
    this.request = facts.request
    if (facts.policy !== undefined) this.policy = facts.policy
    if (facts.rule !== undefined) this.rule = facts.rule
    if (facts.audited !== undefined) this.audited = facts.audited
    if (facts.dryRun !== undefined) this.dryRun = facts.dryRun
    this.#explanation = explanation
  }

  /** For each ALLOW policy that could have allowed the request, what it missed first. For the operator only. */
  considered(): readonly Miss[] {
    return this.#explanation.considered()
  }

  /** Every rule for the workload, field by field, up to a bound. For the operator only. */
  rules(): readonly RuleReport[] {
    return this.#explanation.rules()
  }
}
