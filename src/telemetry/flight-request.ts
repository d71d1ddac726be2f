import type { FlightHttp, FlightRequest } from '../authz/flight/flight-line.ts'
import { judgedPart, pathTemplate } from '../authz/flight/path-template.ts'
import type { AuthorizationRequest, HttpRequestHead } from '../authz/request.ts'
import type { Address } from '../config/address.ts'

/** What is told of a request: nothing that is a credential, and nothing that policy does not read. */
export function flightRequest(
  { principal, workload, port, http }: AuthorizationRequest,
  source: Address,
): FlightRequest {
  return {
    peer: principal,
    workload: { namespace: workload.namespace, serviceAccount: workload.serviceAccount },
    port,
    source: { address: source.host, port: source.port },
    ...(http && { http: flightHttp(http) }),
  }
}

function flightHttp({ method, path, host }: HttpRequestHead): FlightHttp {
  const judged = judgedPart(path)
  return { method, path: judged, template: pathTemplate(judged), ...(host !== undefined && { host }) }
}
