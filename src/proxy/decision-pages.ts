import { Denial } from '../authz/decision.ts'
import type { FlightDecision } from '../authz/flight/flight-line.ts'
import { plainJson, timeJson, type Json } from '../telemetry/plain-json.ts'
import type { RevisionHistory } from './revision-history.ts'
import type { DataPlanes } from './threads/data-planes.ts'

type JsonObject = { readonly [name: string]: Json }

/** The decisions that are kept, newest first. */
export async function decisionList(planes: DataPlanes): Promise<readonly Json[]> {
  const decisions = await planes.decisions()
  return decisions.toReversed().map(decisionJson)
}

/** One decision, with what a denial missed, for each policy that could have allowed; undefined when it is too long ago. */
export async function decisionDetail(
  id: string,
  { planes, history }: { readonly planes: DataPlanes; readonly history: RevisionHistory },
): Promise<JsonObject | undefined> {
  const found = await planes.decision(id)
  if (found === undefined) return undefined
  const { decision, request } = found
  const again = history.policy(decision.revision)?.decide(request)
  return {
    ...decisionJson(decision),
    ...(again instanceof Denial && { considered: plainJson(again.considered()) }),
  }
}

function decisionJson(decision: FlightDecision): JsonObject {
  const { id, verdict, atMs, thread, connection, cause, reason, policy, rule, revision, again, request } =
    decision
  const { peer, workload, port, http } = request
  return {
    id,
    kind: verdict,
    at: timeJson(atMs),
    thread,
    connection,
    cause,
    reason,
    ...(policy !== undefined && { policy }),
    ...(rule !== undefined && { rule }),
    revision,
    ...(again && { again }),
    request: {
      principal: peer,
      workload: { namespace: workload.namespace, serviceAccount: workload.serviceAccount },
      port,
      ...(http && { method: http.method, path: http.path }),
    },
  }
}
