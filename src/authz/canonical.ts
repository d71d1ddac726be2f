import type { PeerAuthentication } from '../config/peer-authentication-config.ts'
import type {
  AuthorizationPolicy,
  HeaderCondition,
  PolicyCondition,
  PolicyOperation,
  PolicyRule,
  PolicySource,
  WorkloadSelector,
} from '../config/policy-config.ts'
import type { PolicyResource } from '../config/policy-resource.ts'
import type { JwtRule, RequestAuthentication, TokenHeader } from '../config/request-authentication-config.ts'
import { allResources, policyResources, type PolicyResources } from './resources.ts'

/**
 * The same resources by kind, namespace and name, with the values of every field sorted and once each. Rules, sources,
 * operations and conditions keep their order, because reasons count them.
 */
export function canonicalResources(resources: PolicyResources): PolicyResources {
  return policyResources(
    allResources(resources)
      .map(canonicalResource)
      .sort(
        (a, b) =>
          compareText(a.kind, b.kind) ||
          compareText(a.metadata.namespace, b.metadata.namespace) ||
          compareText(a.metadata.name, b.metadata.name),
      ),
  )
}

function canonicalResource(resource: PolicyResource): PolicyResource {
  const { apiVersion, metadata } = resource
  const head = { name: metadata.name, namespace: metadata.namespace }
  switch (resource.kind) {
    case 'AuthorizationDefault':
      return { apiVersion, kind: resource.kind, metadata: head, spec: { action: resource.spec.action } }
    case 'AuthorizationPolicy':
      return { apiVersion, kind: resource.kind, metadata: head, spec: canonicalPolicy(resource.spec) }
    case 'PeerAuthentication':
      return { apiVersion, kind: resource.kind, metadata: head, spec: canonicalModes(resource.spec) }
    case 'RequestAuthentication':
      return { apiVersion, kind: resource.kind, metadata: head, spec: canonicalTokens(resource.spec) }
  }
}

function canonicalPolicy({
  selector,
  action,
  dryRun,
  rules,
}: AuthorizationPolicy['spec']): AuthorizationPolicy['spec'] {
  return {
    ...canonicalSelector(selector),
    action,
    ...(dryRun === true && { dryRun }),
    rules: rules.map(canonicalRule),
  }
}

function canonicalModes({
  selector,
  mtls,
  portLevelMtls,
}: PeerAuthentication['spec']): PeerAuthentication['spec'] {
  const ports = Object.entries(portLevelMtls ?? {}).sort(([a], [b]) => Number(a) - Number(b))
  return {
    ...canonicalSelector(selector),
    ...(mtls && { mtls: { mode: mtls.mode } }),
    ...(portLevelMtls && {
      portLevelMtls: Object.fromEntries(ports.map(([port, { mode }]) => [port, { mode }])),
    }),
  }
}

/** Rules, and the places that tokens lie in, keep their order: it is that in which they are tried. */
function canonicalTokens({
  selector,
  jwtRules,
}: RequestAuthentication['spec']): RequestAuthentication['spec'] {
  return { ...canonicalSelector(selector), jwtRules: jwtRules.map(canonicalJwtRule) }
}

function canonicalJwtRule(rule: JwtRule): JwtRule {
  const { issuer, jwks, jwksFile, jwksUrl, jwksCaFile, fromHeaders, fromCookies, forwardOriginalToken } = rule
  return {
    issuer,
    ...sortedFields(rule, ['audiences']),
    algorithms: [...new Set(rule.algorithms)].sort(compareText),
    ...(jwks !== undefined && { jwks }),
    ...(jwksFile !== undefined && { jwksFile }),
    ...(jwksUrl !== undefined && { jwksUrl }),
    ...(jwksCaFile !== undefined && { jwksCaFile }),
    ...(fromHeaders && { fromHeaders: fromHeaders.map(canonicalTokenHeader) }),
    ...(fromCookies && { fromCookies: [...fromCookies] }),
    forwardOriginalToken,
  }
}

function canonicalTokenHeader({ name, prefix }: TokenHeader): TokenHeader {
  return { name, ...(prefix !== undefined && { prefix }) }
}

function canonicalSelector(selector: WorkloadSelector | undefined): { selector?: WorkloadSelector } {
  return selector === undefined ? {} : { selector: sortedFields(selector, ['serviceAccounts']) }
}

function canonicalRule({ from, to, when }: PolicyRule): PolicyRule {
  return {
    ...(from && { from: from.map((source) => sortedFields(source, SOURCE_FIELDS)) }),
    ...(to && { to: to.map(canonicalOperation) }),
    ...(when && { when: when.map(canonicalCondition) }),
  }
}

const SOURCE_FIELDS = [
  'principals',
  'notPrincipals',
  'namespaces',
  'notNamespaces',
  'serviceAccounts',
  'notServiceAccounts',
  'trustDomains',
  'notTrustDomains',
  'ipBlocks',
  'notIpBlocks',
  'requestPrincipals',
  'notRequestPrincipals',
] as const satisfies readonly (keyof PolicySource)[]

const REQUEST_FIELDS = [
  'ports',
  'notPorts',
  'methods',
  'notMethods',
  'hosts',
  'notHosts',
  'paths',
  'notPaths',
] as const satisfies readonly (keyof PolicyOperation)[]

const GRPC_FIELDS = [
  'grpcServices',
  'notGrpcServices',
  'grpcMethods',
  'notGrpcMethods',
] as const satisfies readonly (keyof PolicyOperation)[]

function canonicalOperation(operation: PolicyOperation): PolicyOperation {
  return {
    ...sortedFields(operation, REQUEST_FIELDS),
    ...(operation.headers && { headers: operation.headers.map(canonicalHeader) }),
    ...sortedFields(operation, GRPC_FIELDS),
  }
}

function canonicalHeader(condition: HeaderCondition): HeaderCondition {
  return { name: condition.name, ...sortedFields(condition, ['values', 'notValues']) }
}

function canonicalCondition(condition: PolicyCondition): PolicyCondition {
  const { key, expression } = condition
  return {
    ...(key !== undefined && { key }),
    ...sortedFields(condition, ['values', 'notValues']),
    ...(expression !== undefined && { expression }),
  }
}

/** The fields in the given order, as far as they are there, with their values sorted and once each. */
function sortedFields<Entry extends object, Field extends keyof Entry>(
  entry: Entry,
  fields: readonly Field[],
): Pick<Entry, Field> {
  const sorted: Partial<Record<Field, unknown>> = {}
  for (const field of fields) {
    const values = entry[field] as readonly (string | number)[] | undefined
    if (values !== undefined) sorted[field] = [...new Set(values)].sort(compareValues)
  }
  return sorted as Pick<Entry, Field>
}

function compareValues(a: string | number, b: string | number): number {
  return typeof a === 'number' && typeof b === 'number' ? a - b : compareText(String(a), String(b))
}

/** By code units: the same on every machine and in every locale. */
function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
