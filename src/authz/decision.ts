import type { Miss } from './explain.ts'
import type { AuthorizationRequest } from './request.ts'

/** Why a decision fell as it did: few and stable, fit for a metric's label. */
export type DecisionCause =
  /** A rule of an ALLOW policy matched. */
  | 'allowed'
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
  /** The principal is no SPIFFE ID of a workload. */
  | 'no-identity'

/** What permits and denials have in common. */
export interface DecisionFacts {
  /** Names this decision in logs, and to the peer. */
  readonly id: string
  /** The revision of the policy that decided. */
  readonly revision: string
  readonly cause: DecisionCause
  /** One line for the operator; a peer gets the id only. */
  readonly reason: string
  readonly request: AuthorizationRequest
  /** The policy that decided, `namespace/name`, if one did. */
  readonly policy?: string
  /** The index of the rule that decided, if one did. */
  readonly rule?: number
}

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
  readonly #consider: () => readonly Miss[]

  /** @param consider what {@link considered} returns, worked out only when someone asks */
  constructor(facts: DecisionFacts, consider: () => readonly Miss[] = () => []) {
    this.id = facts.id
    this.revision = facts.revision
    this.cause = facts.cause
    this.reason = facts.reason
    this.request = facts.request
    if (facts.policy !== undefined) this.policy = facts.policy
    if (facts.rule !== undefined) this.rule = facts.rule
    this.#consider = consider
  }

  /** For each ALLOW policy that could have allowed the request, what it missed first. For the operator only. */
  considered(): readonly Miss[] {
    return this.#consider()
  }
}
