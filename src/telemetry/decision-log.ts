import type { Permit } from '../authz/decide.ts'
import { Denial } from '../authz/decision.ts'
import { plainJson, timeJson, type Json } from './plain-json.ts'
import { Ring } from './ring.ts'

/** Decisions that can be looked up by id; at some 300 bytes each a megabyte at most. */
const KEPT_DECISIONS = 2_048

interface Entry {
  readonly decision: Permit | Denial
  readonly atMs: number
  readonly connection: number
}

/** A decision as it is shown, and when it was made. */
export interface ListedDecision {
  readonly atMs: number
  readonly json: Json
}

/** The last decisions, for whoever comes with an id. */
export class DecisionLog {
  readonly #ring = new Ring<Entry>(KEPT_DECISIONS)

  /** @param connection the id of the handshake that proved the principal */
  add(
    decision: Permit | Denial,
    { atMs, connection }: { readonly atMs: number; readonly connection: number },
  ): void {
    this.#ring.add({ decision, atMs, connection })
  }

  /** Newest first. */
  list(): ListedDecision[] {
    return this.#ring.entries.toReversed().map((entry) => ({ atMs: entry.atMs, json: entryJson(entry) }))
  }

  /** With what a denial missed, for each policy that could have allowed. */
  find(id: string): Json | undefined {
    const entry = this.#ring.entries.find(({ decision }) => decision.id === id)
    if (entry === undefined) return undefined
    const { decision } = entry
    if (!(decision instanceof Denial)) return entryJson(entry)
    return { ...entryJson(entry), considered: plainJson(decision.considered()) }
  }
}

function entryJson({ decision, atMs, connection }: Entry): { readonly [name: string]: Json } {
  const { kind, id, revision, cause, reason, policy, rule, request } = decision
  const { principal, workload, port, http } = request
  return {
    id,
    kind,
    at: timeJson(atMs),
    connection,
    cause,
    reason,
    ...(policy !== undefined && { policy }),
    ...(rule !== undefined && { rule }),
    revision,
    request: {
      principal,
      workload: { namespace: workload.namespace, serviceAccount: workload.serviceAccount },
      port,
      ...(http && { method: http.method, path: withoutQuery(http.path) }),
    },
  }
}

/** Queries carry what should not be kept. */
export function withoutQuery(target: string): string {
  return target.replace(/[?#].*$/s, '')
}
