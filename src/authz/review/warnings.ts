import type {
  AuthorizationPolicy,
  PolicyAction,
  PolicyOperation,
  PolicyRule,
  PolicySource,
} from '../../config/policy-config.ts'
import { type PolicyResource, ROOT_NAMESPACE } from '../../config/policy-resource.ts'
import type { FieldPath } from '../../config/yaml-position.ts'
import { policyName } from '../policy-name.ts'
import { prefixMatcher } from '../patterns.ts'
import type { ValueProblem } from '../value-problems.ts'
import { FIELD_PAIRS, isPattern, ruleCovers, valueCovers, values as valuesOf } from './coverage.ts'

/** What may be meant, and more likely is not: in words that go on after "expected" and "got". */
export function warningsOf(
  resource: PolicyResource,
  denying: readonly AuthorizationPolicy[],
): ValueProblem[] {
  switch (resource.kind) {
    case 'AuthorizationDefault':
      return resource.spec.action === 'DENY' ? [] : [openMesh()]
    case 'RequestAuthentication':
      return []
    case 'PeerAuthentication':
      return unavailableModes(resource.spec)
    case 'AuthorizationPolicy':
      return policyWarnings(resource, denying)
  }
}

function openMesh(): ValueProblem {
  const got = 'ALLOW: every workload without ALLOW policy accepts everything'
  return { field: ['spec', 'action'], expected: 'DENY', got }
}

function unavailableModes({
  mtls,
  portLevelMtls = {},
}: Extract<PolicyResource, { kind: 'PeerAuthentication' }>['spec']): ValueProblem[] {
  const modes: readonly (readonly [FieldPath, string | undefined])[] = [
    [['spec', 'mtls', 'mode'], mtls?.mode],
    ...Object.entries(portLevelMtls).map(
      ([port, { mode }]) => [['spec', 'portLevelMtls', port, 'mode'], mode] as const,
    ),
  ]
  return modes.flatMap(([field, mode]) =>
    mode === undefined || mode === 'STRICT'
      ? []
      : [{ field, expected: 'STRICT', got: `${mode}, which proxies cannot put in force: they refuse it` }],
  )
}

function policyWarnings(
  policy: AuthorizationPolicy,
  denying: readonly AuthorizationPolicy[],
): ValueProblem[] {
  const warnings: ValueProblem[] = []
  for (const [index, rule] of policy.spec.rules.entries()) {
    const field: FieldPath = ['spec', 'rules', index]
    const dead = neverMatching(rule, policy.spec.action, field)
    if (dead.length > 0) warnings.push(...dead)
    else warnings.push(...overBroad(rule, policy.spec.action, field), ...shadowed(policy, index, denying))
  }
  return warnings
}

/** Everyone may do everything. */
function overBroad({ from, to, when }: PolicyRule, action: PolicyAction, field: FieldPath): ValueProblem[] {
  if (action !== 'ALLOW' || to !== undefined || when !== undefined) return []
  const expected = 'a rule that says who may call, or what'
  if (from === undefined) return [{ field, expected, got: 'one that allows every peer everything' }]
  return from.flatMap((source, index) => {
    const isAnyone = Object.keys(source).length === 1 && source.principals?.includes('*') === true
    const got = 'every principal, of every trust domain that is trusted, and no other condition'
    return isAnyone ? [{ field: [...field, 'from', index, 'principals'], expected, got }] : []
  })
}

/** A rule that decides nothing, because one that is asked before it matches whenever it would. */
function shadowed(
  policy: AuthorizationPolicy,
  index: number,
  denying: readonly AuthorizationPolicy[],
): ValueProblem[] {
  const { action, rules } = policy.spec
  const rule = rules[index]!
  const field: FieldPath = ['spec', 'rules', index]
  const earlier = rules.slice(0, index).findIndex((other) => ruleCovers(other, rule))
  if (earlier >= 0)
    return [
      { field, expected: 'a rule that can decide', got: `one that rules[${earlier}] leaves nothing to` },
    ]
  if (action !== 'ALLOW') return []
  const denier = denying.find(
    (other) => isAtLeastAsWide(other, policy) && other.spec.rules.some((denied) => ruleCovers(denied, rule)),
  )
  if (denier === undefined) return []
  return [
    { field, expected: 'a rule that can decide', got: `one whose requests ${policyName(denier)} denies` },
  ]
}

/** Whether a policy in force is for all workloads that another is for. */
function isAtLeastAsWide({ metadata, spec }: AuthorizationPolicy, other: AuthorizationPolicy): boolean {
  if (spec.dryRun === true) return false
  if (metadata.namespace !== ROOT_NAMESPACE && metadata.namespace !== other.metadata.namespace) return false
  if (spec.selector === undefined) return true
  const accounts = other.spec.selector?.serviceAccounts
  return (
    accounts !== undefined && accounts.every((account) => spec.selector!.serviceAccounts.includes(account))
  )
}

/** Entries whose fields no request meets together. Where that is hard to tell there is no warning. */
function neverMatching(
  { from = [], to = [], when = [] }: PolicyRule,
  action: PolicyAction,
  field: FieldPath,
): ValueProblem[] {
  const found: ValueProblem[] = []
  for (const [index, source] of from.entries()) {
    const at = [...field, 'from', index]
    found.push(...excluded(source, at), ...strangers(source, at))
  }
  for (const [index, operation] of to.entries()) {
    const at = [...field, 'to', index]
    found.push(...excluded(operation, at), ...(action === 'ALLOW' ? noCall(operation, at) : []))
  }
  for (const [index, { key, values = [], notValues }] of when.entries())
    if (key !== undefined && values.length > 0 && isEachExcluded('requestPrincipals', values, notValues))
      found.push(neverHolds([...field, 'when', index, 'values'], 'notValues'))
  return found
}

/** All values that a field wants are excluded by its negation. */
function excluded(entry: PolicySource | PolicyOperation, field: FieldPath): ValueProblem[] {
  return Object.entries(FIELD_PAIRS).flatMap(([wanting, excluding]) => {
    const wanted = valuesOf(entry, wanting)
    if (wanted === undefined || !isEachExcluded(wanting, wanted, valuesOf(entry, excluding))) return []
    return [neverHolds([...field, wanting], excluding)]
  })
}

function isEachExcluded(
  field: string,
  wanted: readonly (string | number)[],
  excluding: readonly (string | number)[] | undefined,
): boolean {
  if (excluding === undefined) return false
  return wanted.every((value) => excluding.some((pattern) => valueCovers(field, pattern, value)))
}

/** Principals that are spelt out, and none of which has such a namespace, service account or trust domain. */
function strangers(
  { principals, namespaces, serviceAccounts, trustDomains }: PolicySource,
  field: FieldPath,
): ValueProblem[] {
  if (principals === undefined || principals.some(isPattern)) return []
  const parts = principals.map((id) => /^spiffe:\/\/([^/]+)(?:\/ns\/([^/]+)\/sa\/([^/]+)$)?/.exec(id)!)
  const none = (other: string, isMet: (part: RegExpExecArray) => boolean): ValueProblem[] =>
    parts.some(isMet) ? [] : [neverHolds([...field, 'principals'], other)]
  const isNamespace = prefixMatcher(namespaces ?? ['*'])
  return [
    ...(namespaces
      ? none('namespaces', ([, , namespace]) => namespace !== undefined && isNamespace(namespace))
      : []),
    ...(serviceAccounts
      ? none('serviceAccounts', ([, , , account]) =>
          serviceAccounts.some((name) => name.slice(name.indexOf('/') + 1) === account),
        )
      : []),
    ...(trustDomains ? none('trustDomains', ([, trustDomain]) => trustDomains.includes(trustDomain!)) : []),
  ]
}

/** A call of gRPC is a POST. */
function noCall(operation: PolicyOperation, field: FieldPath): ValueProblem[] {
  const { methods, notMethods, grpcServices, grpcMethods, notGrpcServices, notGrpcMethods } = operation
  if (!(grpcServices ?? grpcMethods ?? notGrpcServices ?? notGrpcMethods)) return []
  if (methods !== undefined && !methods.includes('POST'))
    return [neverHolds([...field, 'methods'], 'gRPC, which is POST')]
  return notMethods?.includes('POST') === true
    ? [neverHolds([...field, 'notMethods'], 'gRPC, which is POST')]
    : []
}

function neverHolds(field: FieldPath, beside: string): ValueProblem {
  return { field, expected: 'fields that a request can meet together', got: `none, beside ${beside}` }
}
