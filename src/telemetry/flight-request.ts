import type { FlightHttp, FlightRequest, FlightValue } from '../authz/flight/flight-line.ts'
import { judgedPart, pathTemplate } from '../authz/flight/path-template.ts'
import type { PolicyReads } from '../authz/policy-reads.ts'
import { isSecretHeader } from '../authz/recorded-request.ts'
import type { AuthorizationRequest, HttpRequestHead, RequestToken } from '../authz/request.ts'
import type { Address } from '../config/address.ts'
import { isSecretName } from './redact.ts'

/**
 * What is told of a request: nothing that is a credential, and nothing that policy does not read.
 *
 * @param request as decisions keep it
 */
export function flightRequest(
  { principal, workload, port, tls, http, token }: AuthorizationRequest,
  { source, reads }: { readonly source: Address; readonly reads: PolicyReads },
): FlightRequest {
  return {
    peer: principal,
    workload: { namespace: workload.namespace, serviceAccount: workload.serviceAccount },
    port,
    source: { address: source.host, port: source.port },
    ...tls,
    ...(http && { http: flightHttp(http, token, reads) }),
  }
}

function flightHttp(
  { method, path, host, headers = {} }: HttpRequestHead,
  token: RequestToken | undefined,
  reads: PolicyReads,
): FlightHttp {
  const judged = judgedPart(path)
  return {
    method,
    path: judged,
    template: pathTemplate(judged),
    ...(host !== undefined && { host }),
    ...(reads.headers.size > 0 && {
      headers: told(
        [...reads.headers, ...Object.keys(headers)],
        headers,
        (name) => isSecretHeader(name) || isSecretName(name),
      ),
    }),
    ...(reads.token && {
      requestPrincipal: token?.principal ?? null,
      ...(token && { claims: told(reads.claims, token.claims, isSecretName) }),
    }),
  }
}

/** Each of the names with its value: null for none, and no word of those that are secret. */
function told<T>(
  names: Iterable<string>,
  values: Readonly<Record<string, T>>,
  isSecret: (name: string) => boolean,
): Record<string, FlightValue<NonNullable<T>>> {
  return Object.fromEntries(
    Array.from(new Set(names), (name) => [
      name,
      isSecret(name) ? { hidden: true } : ((Object.hasOwn(values, name) ? values[name] : undefined) ?? null),
    ]),
  )
}
