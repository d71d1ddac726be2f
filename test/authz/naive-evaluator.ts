import type {
  AuthorizationPolicy,
  HeaderCondition,
  PolicyAction,
  PolicyCondition,
  PolicyOperation,
  PolicyRule,
  PolicySource,
} from '../../src/config/policy-config.ts'
import type { AuthorizationRequest } from '../../src/authz/request.ts'

/** What is needed beside the policies. */
export interface NaiveContext {
  readonly trustDomain: string
  /** Of the mesh, where no ALLOW policy is for a workload. */
  readonly defaultAction: 'ALLOW' | 'DENY'
  /** What an expression says, worked out by hand; undefined: it fails. */
  readonly expressions: Readonly<Record<string, (request: AuthorizationRequest) => boolean | undefined>>
}

/** How the naive evaluator decides. */
export interface NaiveDecision {
  readonly allowed: boolean
  readonly cause: string
  /** The names of AUDIT policies with a rule that matches, in order. */
  readonly audited: readonly string[]
}

/**
 * What docs/policy.md says, read aloud: no compiling, no indexes, no sharing with src/authz. Paths and hosts must come in
 * their normal form.
 */
export function decideNaively(
  policies: readonly AuthorizationPolicy[],
  context: NaiveContext,
  request: AuthorizationRequest,
): NaiveDecision {
  const { workload } = request
  const selected = policies
    .filter(({ metadata, spec }) => {
      const inNamespace =
        metadata.namespace === 'handfast-system' || metadata.namespace === workload.namespace
      const accounts = spec.selector?.serviceAccounts
      return inNamespace && (accounts === undefined || accounts.includes(workload.serviceAccount))
    })
    .toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  const matching = (action: PolicyAction): AuthorizationPolicy[] =>
    selected.filter(
      (policy) =>
        policy.spec.action === action &&
        policy.spec.rules.some((rule) => matches(policy, rule, context, request)),
    )
  const audited = matching('AUDIT')
    .filter(({ spec }) => spec.dryRun !== true)
    .map(nameOf)
  const decision = (allowed: boolean, cause: string): NaiveDecision => ({ allowed, cause, audited })
  if (matching('DENY').length > 0) return decision(false, 'denied-by-rule')
  if (matching('ALLOW').length > 0) return decision(true, 'allowed')
  if (selected.some(({ spec }) => spec.action === 'ALLOW')) return decision(false, 'no-matching-rule')
  return context.defaultAction === 'ALLOW'
    ? decision(true, 'allowed-by-default')
    : decision(false, 'no-allow-policy')
}

function nameOf({ metadata }: AuthorizationPolicy): string {
  return `${metadata.namespace}/${metadata.name}`
}

function matches(
  { metadata, spec: { action } }: AuthorizationPolicy,
  rule: PolicyRule,
  { trustDomain, expressions }: NaiveContext,
  request: AuthorizationRequest,
): boolean {
  let from = rule.from === undefined
  for (const source of rule.from ?? [])
    if (sourceMatches(source, { trustDomain, action, namespace: metadata.namespace }, request)) from = true
  let to = rule.to === undefined
  for (const operation of rule.to ?? []) if (operationMatches(operation, action, request)) to = true
  if (!from || !to) return false
  for (const condition of rule.when ?? [])
    if (!conditionHolds(condition, action, request, expressions)) return false
  return true
}

interface SourceContext {
  readonly trustDomain: string
  readonly action: PolicyAction
  readonly namespace: string
}

function sourceMatches(source: PolicySource, context: SourceContext, request: AuthorizationRequest): boolean {
  const { principal, sourceIp, http, token } = request
  const unknown = context.action !== 'ALLOW'
  const [, , domain, ...segments] = principal.split('/')
  const isMember =
    domain === context.trustDomain && segments.length === 4 && segments[0] === 'ns' && segments[2] === 'sa'
  const namespace = isMember ? segments[1]! : undefined
  const inNamespaces = (list: readonly string[]): boolean =>
    namespace !== undefined && list.some((pattern) => startsLike(pattern, namespace))
  const isAccount = (list: readonly string[]): boolean =>
    isMember &&
    list.some(
      (name) =>
        (name.includes('/') ? name : `${context.namespace}/${name}`) === `${namespace}/${segments[3]}`,
    )
  const inBlocks = (list: readonly string[]): boolean => list.some((block) => isInBlock(block, sourceIp!))
  const isToken = (list: readonly string[]): boolean =>
    token !== undefined && list.some((pattern) => isValueLike(pattern, token.principal))

  if (source.principals && !source.principals.some((pattern) => isLike(pattern, principal))) return false
  if (source.notPrincipals && source.notPrincipals.some((pattern) => isLike(pattern, principal))) return false
  if (source.namespaces && !inNamespaces(source.namespaces)) return false
  if (source.notNamespaces && inNamespaces(source.notNamespaces)) return false
  if (source.serviceAccounts && !isAccount(source.serviceAccounts)) return false
  if (source.notServiceAccounts && isAccount(source.notServiceAccounts)) return false
  if (source.trustDomains && !source.trustDomains.includes(domain!)) return false
  if (source.notTrustDomains && source.notTrustDomains.includes(domain!)) return false
  if (source.ipBlocks && !(sourceIp === undefined ? unknown : inBlocks(source.ipBlocks))) return false
  if (source.notIpBlocks && !(sourceIp === undefined ? unknown : !inBlocks(source.notIpBlocks))) return false
  if (http === undefined) return unknown || !(source.requestPrincipals || source.notRequestPrincipals)
  if (source.requestPrincipals && !isToken(source.requestPrincipals)) return false
  return !(source.notRequestPrincipals && isToken(source.notRequestPrincipals))
}

function operationMatches(
  operation: PolicyOperation,
  action: PolicyAction,
  { port, http }: AuthorizationRequest,
): boolean {
  const { ports, notPorts, ...ofRequests } = operation
  if (ports && !ports.includes(port)) return false
  if (notPorts && notPorts.includes(port)) return false
  if (http === undefined) return action !== 'ALLOW' || Object.keys(ofRequests).length === 0
  const { methods, notMethods, hosts, notHosts, paths, notPaths, headers } = operation
  if (methods && !methods.includes(http.method)) return false
  if (notMethods && notMethods.includes(http.method)) return false
  if (hosts && !hosts.some((pattern) => isHostLike(pattern, http.host!))) return false
  if (notHosts && notHosts.some((pattern) => isHostLike(pattern, http.host!))) return false
  if (paths && !paths.some((pattern) => isPathLike(pattern, http.path))) return false
  if (notPaths && notPaths.some((pattern) => isPathLike(pattern, http.path))) return false
  for (const condition of headers ?? []) if (!headerHolds(condition, action, http.headers ?? {})) return false
  return grpcMatches(operation, action, http)
}

function grpcMatches(
  { grpcServices, notGrpcServices, grpcMethods, notGrpcMethods }: PolicyOperation,
  action: PolicyAction,
  { method, path, headers = {} }: NonNullable<AuthorizationRequest['http']>,
): boolean {
  if (!(grpcServices || notGrpcServices || grpcMethods || notGrpcMethods)) return true
  const segments = path.split('/')
  let isCall = segments.length === 3 && segments[1] !== '' && segments[2] !== ''
  if (action === 'ALLOW') {
    const [type, ...more] = headers['content-type'] ?? []
    isCall = isCall && method === 'POST' && more.length === 0 && type?.startsWith('application/grpc') === true
    if (!isCall) return false
  }
  const [, service, call] = segments
  const isService = (list: readonly string[]): boolean =>
    isCall && list.some((one) => startsLike(one, service!))
  const isMethod = (list: readonly string[]): boolean => isCall && list.some((one) => startsLike(one, call!))
  if (grpcServices && !isService(grpcServices)) return false
  if (notGrpcServices && isService(notGrpcServices)) return false
  if (grpcMethods && !isMethod(grpcMethods)) return false
  return !(notGrpcMethods && isMethod(notGrpcMethods))
}

function headerHolds(
  { name, values, notValues }: HeaderCondition,
  action: PolicyAction,
  headers: Readonly<Record<string, readonly string[] | undefined>>,
): boolean {
  const lines = headers[name] ?? []
  const isAny = (list: readonly string[], line: string): boolean => list.some((one) => isValueLike(one, line))
  if (values) {
    if (lines.length === 0) return false
    const good = lines.filter((line) => isAny(values, line)).length
    if (action === 'ALLOW' ? good < lines.length : good === 0) return false
  }
  if (notValues && lines.length > 0) {
    const good = lines.filter((line) => !isAny(notValues, line)).length
    if (action === 'ALLOW' ? good < lines.length : good === 0) return false
  }
  return true
}

function conditionHolds(
  { key, values, notValues, expression }: PolicyCondition,
  action: PolicyAction,
  request: AuthorizationRequest,
  expressions: NaiveContext['expressions'],
): boolean {
  const unknown = action !== 'ALLOW'
  if (expression !== undefined) {
    if (expression.includes('request.') && request.http === undefined) return unknown
    return expressions[expression]!(request) ?? unknown
  }
  let present: readonly string[] | undefined
  const { tls } = request
  if (key === 'connection.sni') present = tls && (tls.sni === undefined ? [] : [tls.sni])
  else if (key === 'connection.alpn') present = tls && (tls.alpn === undefined ? [] : [tls.alpn])
  else if (key === 'connection.group') present = tls?.group === undefined ? undefined : [tls.group]
  else if (request.http !== undefined) {
    const names = key!.replace('request.auth.claims[', '').replace(/\]$/, '').split('][')
    let value: unknown = request.token?.claims
    for (const name of names) value = (value as Record<string, unknown> | undefined)?.[name]
    if (key === 'request.auth.claims[scope]' && typeof value === 'string') value = value.split(' ')
    const list: readonly unknown[] = Array.isArray(value) ? value : [value]
    present = list.filter((item) => ['string', 'number', 'boolean'].includes(typeof item)).map(String)
  }
  if (present === undefined) return unknown
  const isAny = (list: readonly string[]): boolean =>
    present.some((value) => list.some((pattern) => isValueLike(pattern, value)))
  if (values && !isAny(values)) return false
  return !(notValues && isAny(notValues))
}

function startsLike(pattern: string, text: string): boolean {
  return pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern
}

function isValueLike(pattern: string, text: string): boolean {
  if (pattern.endsWith('*')) return text.startsWith(pattern.slice(0, -1))
  return pattern.startsWith('*') ? text.endsWith(pattern.slice(1)) : text === pattern
}

function isHostLike(pattern: string, host: string): boolean {
  if (pattern === '*') return true
  return pattern.startsWith('*')
    ? host.endsWith(pattern.slice(1)) && host.length >= pattern.length
    : host === pattern
}

function isPathLike(pattern: string, path: string): boolean {
  if (pattern === '*') return true
  const wanted = pattern.split('/')
  const given = path.split('/')
  for (const [index, segment] of wanted.entries()) {
    const rest = given.slice(index).join('/')
    const isLast = index === wanted.length - 1
    if (isLast && segment.endsWith('*')) return index < given.length && rest.startsWith(segment.slice(0, -1))
    if (index >= given.length) return false
    const standsForAny = segment === '*' || /^\{.*\}$/.test(segment)
    if (standsForAny ? given[index] === '' : given[index] !== segment) return false
  }
  return wanted.length === given.length
}

/** Segment by segment. */
function isLike(pattern: string, id: string): boolean {
  if (pattern === '*') return true
  const wanted = pattern.split('/')
  const given = id.split('/')
  for (const [index, segment] of wanted.entries()) {
    const actual = given[index]
    if (actual === undefined) return false
    if (segment === '*' && index === wanted.length - 1) return true
    if (segment !== '*' && !startsLike(segment, actual)) return false
  }
  return wanted.length === given.length
}

/** As numbers: an address shifted until only the prefix is left. */
function isInBlock(block: string, address: string): boolean {
  const [network, length] = block.split('/')
  const one = addressNumber(network!)
  const other = addressNumber(address)
  if (one.bits !== other.bits) return false
  const shift = BigInt(one.bits - Number(length ?? one.bits))
  return one.value >> shift === other.value >> shift
}

function addressNumber(text: string): { readonly bits: number; readonly value: bigint } {
  const mapped = text.replace(/^::ffff:(?=\d+\.)/, '')
  if (!mapped.includes(':'))
    return { bits: 32, value: mapped.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n) }
  const [head, tail = ''] = mapped.split('::')
  const left = head!.split(':').filter((group) => group !== '')
  const right = tail.split(':').filter((group) => group !== '')
  const groups = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right]
  return { bits: 128, value: groups.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n) }
}
