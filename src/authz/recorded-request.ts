import type { PolicyReads } from './policy-reads.ts'
import type { AuthorizationRequest, Workload } from './request.ts'

/** Headers that carry secrets: what came in them is shown to nobody. */
const SECRET_HEADERS = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
  'x-api-key',
  'x-auth-token',
])

/** Whether what comes in the header is shown to nobody. */
export function isSecretHeader(name: string): boolean {
  return SECRET_HEADERS.has(name)
}

/**
 * The part of a request that a decision keeps: what policy reads, without secrets. Decisions are remembered by the thousand, and a
 * request's headers may be as large as 16 KiB.
 */
export function recordedRequest(
  { principal, port, sourceIp, tls, http, token }: Omit<AuthorizationRequest, 'workload'>,
  workload: Workload,
  reads: PolicyReads,
): AuthorizationRequest {
  const headers = reads.headers.size > 0 ? http?.headers : undefined
  return {
    principal,
    workload,
    port,
    ...(sourceIp !== undefined && { sourceIp }),
    ...(tls !== undefined && { tls }),
    ...(http !== undefined && {
      http: {
        method: http.method,
        path: http.path,
        ...(http.host !== undefined && { host: http.host }),
        ...(headers !== undefined && {
          headers: picked(headers, (name) => reads.headers.has(name) && !isSecretHeader(name)),
        }),
      },
    }),
    ...(token !== undefined &&
      reads.token && {
        token: { principal: token.principal, claims: picked(token.claims, (name) => reads.claims.has(name)) },
      }),
  }
}

function picked<Value>(
  values: Readonly<Record<string, Value>>,
  keeps: (name: string) => boolean,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => keeps(name)))
}
