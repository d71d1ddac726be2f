import { isWorkloadId } from '../config/spiffe.ts'
import {
  type DecisionCause,
  type DecisionExplanation,
  type DecisionFacts,
  Denial,
  type DryRunOutcome,
  type RuleName,
} from './decision.ts'
import { type Miss, nearestMiss, type RuleReport, ruleReport } from './explain.ts'
import { ListenerPolicy, type Verdict } from './listener-policy.ts'
import { recordedRequest } from './recorded-request.ts'
import type { AuthorizationRequest, Workload } from './request.ts'
import type { CompiledRule } from './rule.ts'
import { peerFacts, type PeerFacts, subjectOf } from './subject-of.ts'
import type { Subject } from './subject.ts'
import type { PolicyRules, WorkloadRules } from './workload-rules.ts'

/** Only this module holds it, so only a decision makes a {@link Permit}. */
const MINT: unique symbol = Symbol('permit')

/** Leave to move an application's bytes: what the pump requires and only {@link WorkloadPolicy.decide} gives. */
export class Permit implements DecisionFacts {
  readonly #brand = true
  readonly kind = 'permit'
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

  /** @throws TypeError outside the module that decides */
  constructor(mint: typeof MINT, facts: DecisionFacts, explanation: DecisionExplanation) {
    if (mint !== MINT) throw new TypeError('A Permit comes from a decision only')
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
    Object.freeze(this)
  }

  /** Whether the value came from a decision; one that merely looks like a permit did not. */
  static is(value: unknown): value is Permit {
    return typeof value === 'object' && value !== null && #brand in value && value.#brand
  }

  /** Every rule for the workload, field by field, up to a bound. For the operator only. */
  rules(): readonly RuleReport[] {
    return this.#explanation.rules()
  }
}

/** Whether the value came from a decision; one that merely looks like a permit did not. */
export function isPermit(value: unknown): value is Permit {
  return Permit.is(value)
}

/** What all decisions of a policy set share. */
export interface DecisionContext {
  readonly revision: string
  /** Whose namespaces policy means. */
  readonly trustDomain: string
  newId(): string
}

/** A request without the workload, which is known. */
export type WorkloadRequest = Omit<AuthorizationRequest, 'workload'>

/** A workload has a few; a simulation may ask about any. */
const MAX_LISTENERS = 64

/** Peers whose names are kept taken apart; more than one workload meets. */
const MAX_PEERS = 4_096

/** Enough to see why; a workload with more ALLOW policies has another problem. */
const MAX_CONSIDERED = 16

/** Enough for a person to read; who needs more looks at the policy. */
const MAX_REPORTED_RULES = 256

/** A policy specialised for one workload, further for each listener, and for each peer that it meets. */
export class WorkloadPolicy {
  readonly workload: Workload
  readonly revision: string
  readonly #rules: WorkloadRules
  readonly #context: DecisionContext
  readonly #allowCount: number
  readonly #listeners = new Map<number, ListenerPolicy>()
  readonly #peers = new Map<string, PeerFacts>()

  constructor(workload: Workload, rules: WorkloadRules, context: DecisionContext) {
    this.workload = { namespace: workload.namespace, serviceAccount: workload.serviceAccount }
    this.revision = context.revision
    this.#rules = rules
    this.#allowCount = rules.policies.filter(isAllowInForce).length
    this.#context = context
  }

  /** What of a request policy for this workload looks at; the rest need not be collected. */
  get reads(): WorkloadRules['reads'] {
    return this.#rules.reads
  }

  /** DENY rules first, then ALLOW rules; what neither names is denied, unless the mesh allows by default. */
  decide(request: WorkloadRequest): Permit | Denial {
    const peer = this.#peer(request.principal)
    if (peer === undefined)
      return this.#refuse(request, 'no-identity', 'the peer has no SPIFFE ID of a workload')
    const taken = subjectOf(request, peer, this.#rules.reads)
    if (taken.kind === 'refused') return this.#refuse(request, taken.cause, taken.reason)
    const { subject } = taken
    const listener = this.#listener(request)
    const verdict = listener.judge(subject)
    const { rule } = verdict
    const audited = listener.audited(subject)
    const dryRun = listener.judgeDryRun(subject)
    const facts: DecisionFacts = {
      id: this.#context.newId(),
      revision: this.revision,
      cause: verdict.cause,
      reason: this.#reason(verdict),
      request: recordedRequest(request, this.workload, this.#rules.reads),
      policy: rule?.policy,
      rule: rule?.index,
      audited: audited.length > 0 ? audited.map(nameOf) : undefined,
      dryRun: dryRun && outcomeOf(dryRun),
    }
    const explanation = new Explanation(this.#rules.policies, subject, verdict)
    return verdict.isAllowed ? new Permit(MINT, facts, explanation) : new Denial(facts, explanation)
  }

  /** Undefined for what is no SPIFFE ID of a workload. */
  #peer(principal: string): PeerFacts | undefined {
    const known = this.#peers.get(principal)
    if (known !== undefined) return known
    if (!isWorkloadId(principal)) return undefined
    const peer = peerFacts(principal, this.#context.trustDomain)
    // Starting anew is rare, and costs less than keeping an order of use on the hot path.
    if (this.#peers.size >= MAX_PEERS) this.#peers.clear()
    this.#peers.set(principal, peer)
    return peer
  }

  #listener({ port, http }: WorkloadRequest): ListenerPolicy {
    const key = port * 2 + (http === undefined ? 0 : 1)
    const known = this.#listeners.get(key)
    if (known !== undefined) return known
    const listener = new ListenerPolicy(this.#rules, { port, transport: http === undefined ? 'tcp' : 'http' })
    if (this.#listeners.size >= MAX_LISTENERS) this.#listeners.clear()
    this.#listeners.set(key, listener)
    return listener
  }

  #reason({ isAllowed, cause, rule }: Verdict): string {
    if (rule !== undefined) return `${isAllowed ? 'allowed' : 'denied'} by ${rule.label}`
    const { namespace, serviceAccount } = this.workload
    const workload = `${namespace}/${serviceAccount}`
    if (cause === 'no-allow-policy') return `no ALLOW policy is for ${workload}`
    if (isAllowed) return `no ALLOW policy is for ${workload}, and the mesh allows by default`
    const count = this.#allowCount
    return `no rule of ${count === 1 ? 'the ALLOW policy' : `the ${count} ALLOW policies`} for ${workload} matches`
  }

  #refuse(request: WorkloadRequest, cause: DecisionCause, reason: string): Denial {
    return new Denial({
      id: this.#context.newId(),
      revision: this.revision,
      cause,
      reason,
      request: recordedRequest(request, this.workload, this.#rules.reads),
    })
  }
}

/** Worked out when someone asks: nearly nobody does. */
class Explanation implements DecisionExplanation {
  readonly #policies: readonly PolicyRules[]
  readonly #subject: Subject
  readonly #verdict: Verdict

  constructor(policies: readonly PolicyRules[], subject: Subject, verdict: Verdict) {
    this.#policies = policies
    this.#subject = subject
    this.#verdict = verdict
  }

  considered(): Miss[] {
    if (this.#verdict.cause !== 'no-matching-rule') return []
    return this.#policies
      .filter(isAllowInForce)
      .slice(0, MAX_CONSIDERED)
      .map(({ policy, rules }) => nearestMiss(policy, rules, this.#subject))
  }

  rules(): RuleReport[] {
    const ordered = (['DENY', 'ALLOW', 'AUDIT'] as const).flatMap((action) =>
      this.#policies
        .filter((policy) => policy.action === action)
        .flatMap(({ rules }) => rules.map((rule) => ({ rule, action }))),
    )
    return ordered
      .slice(0, MAX_REPORTED_RULES)
      .map(({ rule, action }) => ruleReport(rule, action, this.#subject))
  }
}

function isAllowInForce({ action, dryRun }: PolicyRules): boolean {
  return action === 'ALLOW' && !dryRun
}

function outcomeOf({ isAllowed, cause, rule }: Verdict): DryRunOutcome {
  return { kind: isAllowed ? 'permit' : 'denial', cause, ...(rule && nameOf(rule)) }
}

function nameOf({ policy, index }: CompiledRule): RuleName {
  return { policy, rule: index }
}
