import type {
  AuthorizationPolicy,
  PolicyAction,
  PolicyOperation,
  PolicySource,
} from '../../src/config/policy-config.ts'
import type { AuthorizationRequest } from '../../src/authz/request.ts'

/**
 * What docs/policy.md says, read aloud: no compiling, no indexes, no sharing with src/authz. Paths must come in
 * their normal form.
 *
 * @returns whether the request is allowed
 */
export function naivelyAllowed(
  policies: readonly AuthorizationPolicy[],
  trustDomain: string,
  request: AuthorizationRequest,
): boolean {
  const selected = policies.filter(({ metadata, spec }) => {
    const inNamespace =
      metadata.namespace === 'handfast-system' || metadata.namespace === request.workload.namespace
    const accounts = spec.selector?.serviceAccounts
    return inNamespace && (accounts === undefined || accounts.includes(request.workload.serviceAccount))
  })
  let allowed = false
  for (const { spec } of selected) {
    for (const rule of spec.rules) {
      let from = rule.from === undefined
      for (const source of rule.from ?? []) if (sourceMatches(source, trustDomain, request)) from = true
      let to = rule.to === undefined
      for (const operation of rule.to ?? []) if (operationMatches(operation, spec.action, request)) to = true
      if (!from || !to) continue
      if (spec.action === 'DENY') return false
      allowed = true
    }
  }
  return allowed
}

function sourceMatches(
  source: PolicySource,
  trustDomain: string,
  { principal }: AuthorizationRequest,
): boolean {
  const [, , domain, ...segments] = principal.split('/')
  const isMember =
    domain === trustDomain && segments.length === 4 && segments[0] === 'ns' && segments[2] === 'sa'
  const namespace = isMember ? segments[1]! : undefined
  const inNamespaces = (list: readonly string[]): boolean =>
    namespace !== undefined && list.some((pattern) => startsLike(pattern, namespace))
  if (source.principals && !source.principals.some((pattern) => isLike(pattern, principal))) return false
  if (source.notPrincipals && source.notPrincipals.some((pattern) => isLike(pattern, principal))) return false
  if (source.namespaces && !inNamespaces(source.namespaces)) return false
  return !(source.notNamespaces && inNamespaces(source.notNamespaces))
}

function operationMatches(
  operation: PolicyOperation,
  action: PolicyAction,
  { port, http }: AuthorizationRequest,
): boolean {
  if (operation.ports && !operation.ports.includes(port)) return false
  if (operation.notPorts && operation.notPorts.includes(port)) return false
  const { methods, notMethods, paths, notPaths } = operation
  if (http === undefined) return action === 'DENY' || !(methods || notMethods || paths || notPaths)
  if (methods && !methods.includes(http.method)) return false
  if (notMethods && notMethods.includes(http.method)) return false
  if (paths && !paths.some((pattern) => startsLike(pattern, http.path))) return false
  return !(notPaths && notPaths.some((pattern) => startsLike(pattern, http.path)))
}

function startsLike(pattern: string, text: string): boolean {
  return pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern
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
