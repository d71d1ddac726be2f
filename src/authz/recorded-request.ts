import type { PolicyReads } from './policy-reads.ts'
import type { AuthorizationRequest, HttpRequestHead, Workload } from './request.ts'

/** Headers that carry secrets: what came in them is shown to nobody. */
const SECRET_HEADERS = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
  'x-api-key',
  'x-auth-token',
])

/** Whether what comes in the header is shown to nobody; some applications take `x_api_key` for one of them. */
export function isSecretHeader(name: string): boolean {
  return SECRET_HEADERS.has(name.replaceAll('_', '-'))
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
  const recorded: Writable<AuthorizationRequest> = { principal, workload, port }
  if (sourceIp !== undefined) recorded.sourceIp = sourceIp
  if (tls !== undefined) recorded.tls = tls
  if (http !== undefined) {
    const head: Writable<HttpRequestHead> = { method: http.method, path: http.path }
    if (http.host !== undefined) head.host = http.host
    if (http.headers !== undefined && reads.headers.size > 0)
      head.headers = picked(http.headers, (name) => isTelling(name, reads.headers) && !isSecretHeader(name))
    recorded.http = head
  }
  if (token !== undefined && reads.token)
    recorded.token = {
      principal: token.principal,
      claims: picked(token.claims, (name) => reads.claims.has(name)),
    }
  return recorded
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/** Headers that policy reads, and those that make one of them unclear (subject-of.ts): so that a record is judged as the request was. */
function isTelling(name: string, read: PolicyReads['headers']): boolean {
  return read.has(name) || name === 'connection' || read.has(name.replaceAll('_', '-'))
}

function picked<Value>(
  values: Readonly<Record<string, Value>>,
  keeps: (name: string) => boolean,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => keeps(name)))
}
