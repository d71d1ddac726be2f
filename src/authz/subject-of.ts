import { trustDomainOf } from '../config/spiffe.ts'
import type { DecisionCause } from './decision.ts'
import { normalizeHost } from './host.ts'
import { parseSourceIp } from './ip-block.ts'
import { authorityOf, normalizePath } from './path.ts'
import type { PolicyReads } from './policy-reads.ts'
import type { AuthorizationRequest, HttpRequestHead, RequestToken } from './request.ts'
import type { GrpcCall, HttpSubject, Subject } from './subject.ts'

/** Who a principal is to policy. */
export type PeerFacts = Pick<Subject, 'principal' | 'trustDomain' | 'namespace' | 'serviceAccount'>

/** A request taken apart, or why it cannot be judged. */
export type TakenApart =
  | { readonly kind: 'subject'; readonly subject: Subject }
  | { readonly kind: 'refused'; readonly cause: DecisionCause; readonly reason: string }

/** A foreign trust domain may name its namespaces as it likes; that makes them none of ours. */
export function peerFacts(principal: string, ownTrustDomain: string): PeerFacts {
  const trustDomain = trustDomainOf(principal)
  const [, namespace, name] =
    trustDomain === ownTrustDomain
      ? (/^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(principal) ?? [])
      : []
  return {
    principal,
    trustDomain,
    namespace,
    serviceAccount: namespace === undefined ? undefined : `${namespace}/${name}`,
  }
}

/** Takes a request apart as far as policy reads it, and refuses what could be read in more than one way. */
export function subjectOf(
  { port, sourceIp, tls, http: head, token }: Omit<AuthorizationRequest, 'workload'>,
  peer: PeerFacts,
  reads: PolicyReads,
): TakenApart {
  const http = head === undefined ? undefined : httpSubject(head, token, reads)
  if (http?.kind === 'refused') return http
  return {
    kind: 'subject',
    subject: {
      principal: peer.principal,
      trustDomain: peer.trustDomain,
      namespace: peer.namespace,
      serviceAccount: peer.serviceAccount,
      port,
      sourceIp,
      sourceIpBytes: reads.sourceIp && sourceIp !== undefined ? parseSourceIp(sourceIp) : undefined,
      tls,
      http: http?.http,
    },
  }
}

/** RFC 9110 §9.1: methods are case-sensitive; not every server knows. */
const JUDGEABLE_METHOD = /^[A-Z][A-Z0-9_-]*$/

const NO_HEADERS: ReadonlyMap<string, readonly string[]> = new Map()

type HttpTakenApart =
  | { readonly kind: 'http'; readonly http: HttpSubject }
  | Extract<TakenApart, { kind: 'refused' }>

function httpSubject(
  head: HttpRequestHead,
  token: RequestToken | undefined,
  reads: PolicyReads,
): HttpTakenApart {
  const { method } = head
  if (reads.method && !JUDGEABLE_METHOD.test(method))
    return refused('ambiguous-method', 'policy reads the method, which is no upper-case token')
  const path = reads.path ? normalizePath(head.path) : undefined
  if (path?.kind === 'refused')
    return refused('ambiguous-path', `policy reads the path, which has ${path.reason}`)
  let host: string | undefined
  if (reads.host) {
    const named = normalizeHost(head.host)
    if (named.kind === 'refused')
      return refused('ambiguous-host', `policy reads the host, which has ${named.reason}`)
    const authority = authorityOf(head.path)
    const target = authority === undefined ? named : normalizeHost(authority)
    // RFC 9112 §3.2.2 prefers the target's, and not every server obeys.
    if (target.kind === 'refused' || target.host !== named.host)
      return refused('ambiguous-host', 'policy reads the host, and the request names two')
    host = named.host
  }
  let headers = NO_HEADERS
  if (reads.headers.size > 0) {
    const unclear = unclearHeader(head, reads)
    if (unclear !== undefined) return refused('ambiguous-header', unclear)
    headers = readHeaders(head, reads)
  }
  const grpc = reads.grpc && path !== undefined ? grpcCall(path.path, method, headers) : undefined
  // Explanations keep what they are about: not what nobody reads.
  const read = reads.token ? token : undefined
  return { kind: 'http', http: { method, path: path?.path, host, headers, grpc, token: read } }
}

function readHeaders({ headers = {} }: HttpRequestHead, reads: PolicyReads): Map<string, readonly string[]> {
  const read = new Map<string, readonly string[]>()
  for (const name of reads.headers) {
    const lines = Object.hasOwn(headers, name) ? headers[name] : undefined
    if (lines !== undefined) read.set(name, lines)
  }
  return read
}

/**
 * What the application would see under the name that policy reads, or not see, other than we do: interfaces such as CGI and WSGI
 * make `_` and `-` one, and what Connection names does not travel on (RFC 9110 §7.6.1).
 */
function unclearHeader({ headers = {} }: HttpRequestHead, reads: PolicyReads): string | undefined {
  for (const name of Object.keys(headers)) {
    if (!name.includes('_') || reads.headers.has(name)) continue
    const twin = name.replaceAll('_', '-')
    if (reads.headers.has(twin))
      return `policy reads the header ${twin}, which some applications take ${name} for`
  }
  for (const line of headers['connection'] ?? [])
    for (const token of line.split(',')) {
      const name = token.trim().toLowerCase()
      if (reads.headers.has(name))
        return `policy reads the header ${name}, which Connection keeps from travelling on`
    }
  return undefined
}

/** `/package.Service/Method`, and nothing else, is a call (PROTOCOL-HTTP2.md of gRPC). */
function grpcCall(
  path: string,
  method: string,
  headers: ReadonlyMap<string, readonly string[]>,
): GrpcCall | undefined {
  const [, service, call, more] = path.split('/')
  if (service === undefined || call === undefined || more !== undefined || service === '' || call === '')
    return undefined
  const types = headers.get('content-type') ?? []
  const certain = method === 'POST' && types.length === 1 && /^application\/grpc(?:[-+;]|$)/i.test(types[0]!)
  return { service, method: call, certain }
}

function refused(cause: DecisionCause, reason: string): Extract<TakenApart, { kind: 'refused' }> {
  return { kind: 'refused', cause, reason }
}
