import type { PolicyReads } from '../policy-reads.ts'
import type { AuthorizationRequest, RequestToken } from '../request.ts'
import { type FlightHttp, type FlightRequest, type FlightValue, isHidden } from './flight-line.ts'

/** A recorded request as policy is asked about it; what was not recorded is absent. */
export function recordedQuestion({
  peer,
  workload,
  port,
  source,
  sni,
  alpn,
  group,
  http,
}: FlightRequest): AuthorizationRequest {
  const token = http && tokenOf(http)
  return {
    principal: peer,
    workload,
    port,
    ...(source && { sourceIp: source.address }),
    tls: {
      ...(sni !== undefined && { sni }),
      ...(alpn !== undefined && { alpn }),
      ...(group !== undefined && { group }),
    },
    ...(http && {
      http: {
        method: http.method,
        path: http.path,
        ...(http.host !== undefined && { host: http.host }),
        headers: shown(http.headers),
      },
    }),
    ...(token && { token }),
  }
}

/** What policy would read of a request and nobody recorded, such as `header x-tier`; none: it can be judged. */
export function unknownsOf({ source, http }: FlightRequest, reads: PolicyReads): string[] {
  return [
    ...(reads.sourceIp && source === undefined ? ['the source address'] : []),
    ...(http === undefined
      ? []
      : [
          ...missing(reads.headers, http.headers).map((name) => `the header ${name}`),
          ...(reads.token && http.requestPrincipal === undefined ? ['the token'] : []),
          // Without a token there are no claims to know.
          ...(http.requestPrincipal === null
            ? []
            : missing(reads.claims, http.claims).map((name) => `the claim ${name}`)),
        ]),
  ]
}

function missing(
  names: ReadonlySet<string>,
  values: FlightHttp['headers'] | FlightHttp['claims'] = {},
): string[] {
  return [...names].filter((name) => !Object.hasOwn(values, name) || isHidden(values[name]))
}

function tokenOf({ requestPrincipal, claims }: FlightHttp): RequestToken | undefined {
  if (requestPrincipal === undefined || requestPrincipal === null) return undefined
  return { principal: requestPrincipal, claims: shown(claims) }
}

/** Those that came and may be told. */
function shown<T>(values: Readonly<Record<string, FlightValue<T>>> = {}): Record<string, T> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, T] => entry[1] !== null && !isHidden(entry[1])),
  )
}
