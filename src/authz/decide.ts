import { isWorkloadId, trustDomainOf } from '../config/spiffe.ts'
import { type DecisionCause, type DecisionFacts, Denial } from './decision.ts'
import { type Miss, nearestMiss } from './explain.ts'
import { normalizePath } from './path.ts'
import type { Subject } from './predicates.ts'
import type { AuthorizationRequest, Workload } from './request.ts'
import { anyHolds, type CompiledRule } from './rule.ts'

/** Only this module holds it, so only a decision makes a {@link Permit}. */
const MINT: unique symbol = Symbol('permit')

/** Leave to move an application's bytes: what the pump requires and only {@link WorkloadPolicy.decide} gives. */
export class Permit implements DecisionFacts {
  readonly #brand = true
  readonly kind = 'permit'
  readonly id: string
  readonly revision: string
  readonly cause = 'allowed'
  readonly reason: string
  readonly request: AuthorizationRequest
  readonly policy: string
  readonly rule: number

  /** @throws TypeError outside the module that decides */
  constructor(mint: typeof MINT, facts: Omit<Permit, 'kind' | 'cause'>) {
    if (mint !== MINT) throw new TypeError('A Permit comes from a decision only')
    this.id = facts.id
    this.revision = facts.revision
    this.reason = facts.reason
    this.request = facts.request
    this.policy = facts.policy
    this.rule = facts.rule
    Object.freeze(this)
  }

  /** Whether the value came from a decision; one that merely looks like a permit did not. */
  static is(value: unknown): value is Permit {
    return typeof value === 'object' && value !== null && #brand in value && value.#brand
  }
}

/** Whether the value came from a decision; one that merely looks like a permit did not. */
export function isPermit(value: unknown): value is Permit {
  return Permit.is(value)
}

/** The rules that are for one workload, for one transport. */
export interface RuleSet {
  readonly deny: readonly CompiledRule[]
  /** By policy, `namespace/name`, because a policy without rules is worth explaining too. */
  readonly allow: ReadonlyMap<string, readonly CompiledRule[]>
}

/** The policy for one workload, as `compilePolicies` prepares it. */
export interface WorkloadRules {
  readonly http: RuleSet
  readonly tcp: RuleSet
  /** Whether any rule reads the method, and so must be able to. */
  readonly readsMethod: boolean
  readonly readsPath: boolean
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

/** The rules that are left once the principal is known. */
interface PeerRules {
  readonly namespace: string | undefined
  readonly http: CandidateRules
  readonly tcp: CandidateRules
}

interface CandidateRules {
  readonly deny: readonly CompiledRule[]
  readonly allow: readonly CompiledRule[]
}

/** Peers whose rules are kept at hand; more than one workload meets. */
const MAX_PEERS = 4_096

/** Enough to see why; a workload with more ALLOW policies has another problem. */
const MAX_CONSIDERED = 16

/** A policy specialised for one workload, and further for each peer that it meets. */
export class WorkloadPolicy {
  readonly workload: Workload
  readonly revision: string
  readonly #rules: WorkloadRules
  readonly #context: DecisionContext
  /** `from` depends on the principal alone, so it is asked once for each. */
  readonly #peers = new Map<string, PeerRules>()

  constructor(workload: Workload, rules: WorkloadRules, context: DecisionContext) {
    this.workload = { namespace: workload.namespace, serviceAccount: workload.serviceAccount }
    this.revision = context.revision
    this.#rules = rules
    this.#context = context
  }

  /** DENY rules first, then ALLOW rules; what neither names is denied. */
  decide({ principal, port, http }: WorkloadRequest): Permit | Denial {
    const request = { principal, workload: this.workload, port, ...(http && { http }) }
    const peer = this.#peer(principal)
    if (peer === undefined)
      return this.#deny(request, 'no-identity', 'the peer has no SPIFFE ID of a workload')

    const { readsMethod, readsPath } = this.#rules
    if (http !== undefined && readsMethod && !JUDGEABLE_METHOD.test(http.method))
      return this.#deny(request, 'ambiguous-method', 'policy reads the method, which is no upper-case token')
    const path = http !== undefined && readsPath ? normalizePath(http.path) : undefined
    if (path?.kind === 'refused')
      return this.#deny(request, 'ambiguous-path', `policy reads the path, which has ${path.reason}`)

    const { deny, allow } = http === undefined ? peer.tcp : peer.http
    const subject: Subject = {
      principal,
      namespace: peer.namespace,
      port,
      method: http?.method,
      path: path?.path,
    }
    const denying = deny.find(({ operations }) => anyHolds(operations, subject))
    if (denying !== undefined)
      return this.#deny(request, 'denied-by-rule', `denied by ${nameOf(denying)}`, denying)
    const allowing = allow.find(({ operations }) => anyHolds(operations, subject))
    if (allowing !== undefined)
      return new Permit(MINT, {
        id: this.#context.newId(),
        revision: this.revision,
        reason: `allowed by ${nameOf(allowing)}`,
        request,
        policy: allowing.policy,
        rule: allowing.index,
      })
    return this.#denyByDefault(request, subject)
  }

  /** Undefined for what is no SPIFFE ID of a workload. */
  #peer(principal: string): PeerRules | undefined {
    const known = this.#peers.get(principal)
    if (known !== undefined) return known
    if (!isWorkloadId(principal)) return undefined
    const namespace = namespaceOf(principal, this.#context.trustDomain)
    const subject = { principal, namespace, port: 0, method: undefined, path: undefined }
    const candidates = ({ deny, allow }: RuleSet): CandidateRules => ({
      deny: deny.filter(({ sources }) => anyHolds(sources, subject)),
      allow: [...allow.values()].flat().filter(({ sources }) => anyHolds(sources, subject)),
    })
    const peer = { namespace, http: candidates(this.#rules.http), tcp: candidates(this.#rules.tcp) }
    // Starting anew is rare, and costs less than keeping an order of use on the hot path.
    if (this.#peers.size >= MAX_PEERS) this.#peers.clear()
    this.#peers.set(principal, peer)
    return peer
  }

  #denyByDefault(request: AuthorizationRequest, subject: Subject): Denial {
    const { allow } = request.http === undefined ? this.#rules.tcp : this.#rules.http
    const { namespace, serviceAccount } = this.workload
    if (allow.size === 0)
      return this.#deny(request, 'no-allow-policy', `no ALLOW policy is for ${namespace}/${serviceAccount}`)
    const policies = allow.size === 1 ? 'the ALLOW policy' : `the ${allow.size} ALLOW policies`
    const facts = this.#facts(
      request,
      'no-matching-rule',
      `no rule of ${policies} for ${namespace}/${serviceAccount} matches`,
    )
    return new Denial(facts, () => considered(allow, subject))
  }

  #deny(request: AuthorizationRequest, cause: DecisionCause, reason: string, rule?: CompiledRule): Denial {
    return new Denial({
      ...this.#facts(request, cause, reason),
      ...(rule && { policy: rule.policy, rule: rule.index }),
    })
  }

  #facts(request: AuthorizationRequest, cause: DecisionCause, reason: string): DecisionFacts {
    return { id: this.#context.newId(), revision: this.revision, cause, reason, request }
  }
}

/** RFC 9110 §9.1: methods are case-sensitive; not every server knows. */
const JUDGEABLE_METHOD = /^[A-Z][A-Z0-9_-]*$/

function considered(allow: RuleSet['allow'], subject: Subject): Miss[] {
  return [...allow]
    .slice(0, MAX_CONSIDERED)
    .map(([policy, policyRules]) => nearestMiss(policy, policyRules, subject))
}

function nameOf({ policy, index }: CompiledRule): string {
  return `${policy} rule ${index}`
}

/** A foreign trust domain may name its namespaces as it likes; that makes them none of ours. */
function namespaceOf(principal: string, trustDomain: string): string | undefined {
  if (trustDomainOf(principal) !== trustDomain) return undefined
  return /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/[^/]+$/.exec(principal)?.[1]
}
