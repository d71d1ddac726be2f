import { Denial } from '../authz/decision.ts'
import type { FlightDecision } from '../authz/flight/flight-line.ts'
import { plainJson, timeJson, type Json } from '../telemetry/plain-json.ts'
import type { RevisionEntry, RevisionHistory } from './revision-history.ts'
import type { DataPlanes } from './threads/data-planes.ts'

type JsonObject = { readonly [name: string]: Json }

/** The decisions that are kept, newest first. */
export async function decisionList(planes: DataPlanes): Promise<readonly Json[]> {
  const decisions = await planes.decisions()
  return decisions.toReversed().map(decisionJson)
}

/**
 * One decision, with every rule that was asked, what a denial missed, and which policy was in force when; undefined when it is too
 * long ago. The rules are asked anew by the policy of that time, as long as it is kept.
 */
export async function decisionDetail(
  id: string,
  { planes, history }: { readonly planes: DataPlanes; readonly history: RevisionHistory },
): Promise<JsonObject | undefined> {
  const found = await planes.decision(id)
  if (found === undefined) return undefined
  const { decision, request } = found
  // Policy was not asked about a token that does not hold.
  const wasAsked = decision.cause !== 'invalid-token'
  const again = wasAsked ? history.policy(decision.revision)?.decide(request) : undefined
  const revisions = history.entries.map(revisionJson)
  return {
    ...decisionJson(decision),
    facts: plainJson(decision.request),
    ...(decision.trial && { trial: plainJson(decision.trial) }),
    ...(decision.audits && { audits: plainJson(decision.audits) }),
    ...(again instanceof Denial && { considered: plainJson(again.considered()) }),
    rules: again === undefined ? (wasAsked ? null : []) : plainJson(again.rules()),
    // Credentials are not kept: rules that read one may say otherwise now.
    rulesAgree: again === undefined || (again.kind === decision.verdict && again.cause === decision.cause),
    decidedBy: revisions.findLast((entry) => entry['revision'] === decision.revision) ?? null,
    newest: revisions.at(-1) ?? null,
  }
}

/** Which policy this proxy was given when, oldest first. */
export function revisionList(history: RevisionHistory): readonly Json[] {
  return history.entries.map(revisionJson)
}

function revisionJson({
  revision,
  stateNumber,
  receivedAtMs,
  inForceAtMs,
  refused,
}: RevisionEntry): JsonObject {
  return {
    revision,
    stateNumber: stateNumber ?? null,
    receivedAt: timeJson(receivedAtMs),
    inForceAt: inForceAtMs === undefined ? null : timeJson(inForceAtMs),
    ...(refused !== undefined && { refused }),
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
