import type { PolicySet } from '../policy-set.ts'
import type { Workload } from '../request.ts'
import type { FlightDecision, FlightRequest, FlightShadow } from './flight-line.ts'
import { recordedQuestion, unknownsOf } from './known-request.ts'

/** What a policy makes of one recorded call. */
export type SimulatedCall =
  | ({ readonly kind: 'decided'; readonly reason: string } & FlightShadow)
  /** It reads what was not recorded. */
  | { readonly kind: 'unknown'; readonly unknown: readonly string[] }

/** Calls that are the same but for what differs from request to request. */
export interface CallGroup {
  readonly peer: string
  readonly workload: Workload
  readonly port: number
  /** Absent for connections that carry bytes. */
  readonly method?: string
  /** The template of the path. */
  readonly path?: string
  readonly calls: number
  /** The id of the first of them, to look it up. */
  readonly example: string
  /** What decides now, or what is not known. */
  readonly why: string
}

/** One peer at one port of one workload. */
export interface Edge {
  readonly peer: string
  readonly workload: Workload
  readonly port: number
}

/** What would be different. */
export interface Simulation {
  /** Of the policy that was tried. */
  readonly revision: string
  /** Calls that were judged, and of those the ones that stay as they were. */
  readonly calls: number
  readonly unchanged: number
  readonly newlyDenied: readonly CallGroup[]
  readonly newlyAllowed: readonly CallGroup[]
  /** Calls of which too little was recorded. */
  readonly unknown: readonly CallGroup[]
  /** Over which calls passed and none would. */
  readonly edgesCut: readonly Edge[]
  /** Over which no call passed and some would. */
  readonly edgesOpened: readonly Edge[]
}

/** What a policy makes of a recorded call, by the very evaluator that proxies decide with. */
export function simulateCall(
  policies: PolicySet,
  { request, verdict, cause: recordedCause, reason: recordedReason }: FlightDecision,
): SimulatedCall {
  // Policy was not asked, and would not be.
  if (recordedCause === 'invalid-token')
    return { kind: 'decided', verdict, cause: recordedCause, reason: recordedReason }
  const policy = policies.forWorkload(request.workload)
  const unknown = unknownsOf(request, policy.reads)
  if (unknown.length > 0) return { kind: 'unknown', unknown }
  const { kind, cause, reason, policy: name, rule } = policy.decide(recordedQuestion(request))
  return {
    kind: 'decided',
    verdict: kind,
    cause,
    reason,
    ...(name !== undefined && { policy: name }),
    ...(rule !== undefined && { rule }),
  }
}

/** Tries a policy on recorded calls, one after the other. */
export class Simulator {
  readonly #policies: PolicySet
  readonly #denied = new Groups()
  readonly #allowed = new Groups()
  readonly #unknown = new Groups()
  readonly #edges = new Map<string, { readonly edge: Edge; passed: boolean; passes: boolean }>()
  #calls = 0
  #unchanged = 0

  constructor(policies: PolicySet) {
    this.#policies = policies
  }

  /** Takes a call. What was judged again is no call of its own. */
  add(decision: FlightDecision): void {
    if (decision.again) return
    this.#calls++
    const call = simulateCall(this.#policies, decision)
    const passed = decision.verdict === 'permit'
    const passes = call.kind === 'unknown' ? passed : call.verdict === 'permit'
    this.#note(decision.request, { passed, passes })
    if (call.kind === 'unknown') this.#unknown.add(decision, `policy reads ${call.unknown.join(', ')}`)
    else if (passed === passes) this.#unchanged++
    else (passed ? this.#denied : this.#allowed).add(decision, call.reason)
  }

  /** What would be different, by what was taken so far. */
  result(): Simulation {
    const edges = [...this.#edges.values()]
    return {
      revision: this.#policies.revision,
      calls: this.#calls,
      unchanged: this.#unchanged,
      newlyDenied: this.#denied.list(),
      newlyAllowed: this.#allowed.list(),
      unknown: this.#unknown.list(),
      edgesCut: edges.filter(({ passed, passes }) => passed && !passes).map(({ edge }) => edge),
      edgesOpened: edges.filter(({ passed, passes }) => !passed && passes).map(({ edge }) => edge),
    }
  }

  #note(
    { peer, workload, port }: FlightRequest,
    { passed, passes }: { readonly passed: boolean; readonly passes: boolean },
  ): void {
    const key = JSON.stringify([peer, workload.namespace, workload.serviceAccount, port])
    const known = this.#edges.get(key) ?? { edge: { peer, workload, port }, passed: false, passes: false }
    this.#edges.set(key, { ...known, passed: known.passed || passed, passes: known.passes || passes })
  }
}

/** Whether anything would be different, or may be. */
export function changesAnything({ calls, unchanged }: Simulation): boolean {
  return calls !== unchanged
}

/** Calls by what they have in common. */
class Groups {
  readonly #groups = new Map<string, CallGroup>()

  add({ id, request }: FlightDecision, why: string): void {
    const { peer, workload, port, http } = request
    const key = JSON.stringify([
      peer,
      workload.namespace,
      workload.serviceAccount,
      port,
      http?.method,
      http?.template,
      why,
    ])
    const known = this.#groups.get(key)
    this.#groups.set(
      key,
      known === undefined
        ? {
            peer,
            workload,
            port,
            ...(http && { method: http.method, path: http.template }),
            calls: 1,
            example: id,
            why,
          }
        : { ...known, calls: known.calls + 1 },
    )
  }

  /** Those with the most calls first. */
  list(): CallGroup[] {
    return [...this.#groups.values()].sort((a, b) => b.calls - a.calls)
  }
}
