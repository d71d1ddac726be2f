import type { HttpRequestHead, TlsFacts, Workload } from '../authz/request.ts'
import type { Permit } from '../authz/decide.ts'
import type { Denial } from '../authz/decision.ts'
import type { SpiffeId } from '../identity/spiffe-id.ts'
import type { SecuredSession } from '../net/secured.ts'
import { ProxyError } from './errors.ts'
import type { VerifiedClient } from './inbound.ts'
import type { MeshView } from './mesh-view.ts'
import type { ProxyServices } from './services.ts'
import type { FlightPlace } from '../telemetry/flight-log.ts'

/** Asks policy about a verified client, and keeps the answer for whoever comes with its id. */
export function authorize(
  { decisions, tls, counters }: ProxyServices,
  view: MeshView,
  client: VerifiedClient,
  http?: HttpRequestHead,
): Permit | Denial {
  const decision = decide(view, client, http)
  counters.add(decision.kind === 'permit' ? 'permits' : 'denials')
  decisions.add(decision, { atMs: tls.nowMs(), ...placeOf(client) })
  return decision
}

/** Whether what was permitted is now denied; if so, the end of it. */
export function newlyDenied(
  { decisions, tls }: ProxyServices,
  view: MeshView,
  client: VerifiedClient,
  http?: HttpRequestHead,
): ProxyError | undefined {
  const decision = decide(view, client, http)
  if (decision.kind === 'permit') return undefined
  decisions.add(decision, { atMs: tls.nowMs(), ...placeOf(client), again: true })
  return new ProxyError('PROXY_NO_LONGER_ALLOWED', `Decision ${decision.id}: ${decision.reason}`)
}

/** Who policy takes the bearer of an identity for. */
export function workloadOf({ namespace, serviceAccount }: SpiffeId): Workload {
  // An identity outside the Kubernetes convention lies in no namespace; policies for all workloads still apply.
  return { namespace: namespace ?? '', serviceAccount: serviceAccount ?? '' }
}

function placeOf({ handshake, listener, connection }: VerifiedClient): Omit<FlightPlace, 'atMs'> {
  return { connection: handshake, listener, source: connection.remote }
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
  { principal, port, sourceIp, connection }: VerifiedClient,
  http: HttpRequestHead | undefined,
): Permit | Denial {
  return view.policy.decide({
    principal,
    workload: workloadOf(view.svid.id),
    port,
    sourceIp,
    tls: tlsFacts(connection.session),
    ...(http !== undefined && { http }),
  })
}
