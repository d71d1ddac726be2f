import type { PolicyReads } from '../authz/policy-reads.ts'
import { recordedRequest } from '../authz/recorded-request.ts'
import type { AuthorizationRequest, HttpRequestHead, TlsFacts, Workload } from '../authz/request.ts'
import type { Permit, WorkloadRequest } from '../authz/decide.ts'
import { Denial } from '../authz/decision.ts'
import type { TokenError } from '../identity/errors.ts'
import type { SpiffeId } from '../identity/spiffe-id.ts'
import type { SecuredSession } from '../net/secured.ts'
import { ProxyError } from './errors.ts'
import type { VerifiedClient } from './inbound.ts'
import type { MeshView } from './mesh-view.ts'
import type { ProxyServices } from './services.ts'
import type { CounterRow } from './threads/counters.ts'
import type { FlightPlace } from '../telemetry/flight-log.ts'

/** What a client asks for over its connection; of bytes nothing is known. */
export type Call = Pick<AuthorizationRequest, 'http' | 'token'>

/** Asks policy about a verified client, and keeps the answer for whoever comes with its id. */
export function authorize(
  { decisions, tls, counters }: ProxyServices,
  view: MeshView,
  client: VerifiedClient,
  call: Call = {},
): Permit | Denial {
  const { decision, place } = decide(view, client, call)
  counters.add(decision.kind === 'permit' ? 'permits' : 'denials')
  countTrial(counters, decision)
  decisions.add(decision, { atMs: tls.nowMs(), ...place })
  return decision
}

/** Refuses a request for its token, before policy is asked, and keeps the refusal as any other decision. */
export function refuseToken(
  { decisions, tls, counters, newId }: ProxyServices,
  view: MeshView,
  client: VerifiedClient,
  { http, error }: { readonly http: HttpRequestHead; readonly error: TokenError },
): Denial {
  const policy = view.policy.forWorkload(workloadOf(view.svid.id))
  const decision = new Denial({
    id: newId(),
    revision: view.policy.revision,
    cause: 'invalid-token',
    reason: `${error.code}: ${error.message}`,
    request: recordedRequest(questionOf(client, { http }), policy.workload, policy.reads),
  })
  counters.add('denials')
  decisions.add(decision, { atMs: tls.nowMs(), ...placeOf(client, policy.reads) })
  return decision
}

/** Whether what was permitted is now denied; if so, the end of it. */
export function newlyDenied(
  { decisions, tls }: ProxyServices,
  view: MeshView,
  client: VerifiedClient,
  call: Call = {},
): ProxyError | undefined {
  const { decision, place } = decide(view, client, call)
  if (decision.kind === 'permit') return undefined
  decisions.add(decision, { atMs: tls.nowMs(), ...place, again: true })
  return new ProxyError('PROXY_NO_LONGER_ALLOWED', `Decision ${decision.id}: ${decision.reason}`)
}

/** Who policy takes the bearer of an identity for. */
export function workloadOf({ namespace, serviceAccount }: SpiffeId): Workload {
  // An identity outside the Kubernetes convention lies in no namespace; policies for all workloads still apply.
  return { namespace: namespace ?? '', serviceAccount: serviceAccount ?? '' }
}

/** What policies on trial would have changed, and what policies that only watch have seen. */
function countTrial(counters: CounterRow, { kind, dryRun, audited }: Permit | Denial): void {
  if (audited !== undefined) counters.add('audits')
  if (dryRun === undefined || dryRun.kind === kind) return
  counters.add(dryRun.kind === 'permit' ? 'trialPermits' : 'trialDenials')
}

function tlsFacts({ serverName, alpn, group }: SecuredSession): TlsFacts {
  return {
    ...(serverName !== undefined && { sni: serverName }),
    ...(alpn !== undefined && { alpn }),
    ...(group !== undefined && { group }),
  }
}

function decide(
  view: MeshView,
  client: VerifiedClient,
  call: Call,
): { readonly decision: Permit | Denial; readonly place: Omit<FlightPlace, 'atMs'> } {
  const policy = view.policy.forWorkload(workloadOf(view.svid.id))
  return { decision: policy.decide(questionOf(client, call)), place: placeOf(client, policy.reads) }
}

function questionOf({ principal, port, sourceIp, connection }: VerifiedClient, call: Call): WorkloadRequest {
  return { principal, port, sourceIp, tls: tlsFacts(connection.session), ...call }
}

function placeOf(
  { connection, handshake, listener }: VerifiedClient,
  reads: PolicyReads,
): Omit<FlightPlace, 'atMs'> {
  return { connection: handshake, listener, source: connection.remote, reads }
}
