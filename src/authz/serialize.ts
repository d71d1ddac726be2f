import { ConfigError } from '../config/errors.ts'
import { parseJsonList } from '../config/parse.ts'
import {
  type AuthorizationPolicy,
  authorizationPolicySchema,
  type PolicyOperation,
  type PolicyRule,
  type PolicySource,
} from '../config/policy-config.ts'
import { PolicyError } from './errors.ts'
import { policyName } from './policy-name.ts'
import { deadPaths } from './policy-paths.ts'

/**
 * Policies as the controller sends them to proxies: a JSON list in canonical order, so that the same policies always
 * give the same text, whatever files and order they were read from.
 */
export function serializePolicies(policies: readonly AuthorizationPolicy[]): string {
  return JSON.stringify(canonicalPolicies(policies))
}

/**
 * Reads what {@link serializePolicies} wrote, and nothing else.
 *
 * @throws PolicyError AUTHZ_POLICIES_MALFORMED
 */
export function deserializePolicies(text: string): AuthorizationPolicy[] {
  const policies = readList(text)
  // One spelling only: a revision names one text, and what was signed off is what is in force.
  if (serializePolicies(policies) !== text)
    throw new PolicyError('AUTHZ_POLICIES_MALFORMED', 'Policies are not in canonical form')
  if (new Set(policies.map(policyName)).size !== policies.length)
    throw new PolicyError('AUTHZ_POLICIES_MALFORMED', 'Two policies have the same name')
  if (policies.some((policy) => deadPaths(policy).length > 0))
    throw new PolicyError('AUTHZ_POLICIES_MALFORMED', 'A policy has a path that is not in its normal form')
  return policies
}

function readList(text: string): AuthorizationPolicy[] {
  try {
    return parseJsonList(text, { file: 'policies', schema: authorizationPolicySchema })
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause
    throw new PolicyError('AUTHZ_POLICIES_MALFORMED', `Policies are malformed: ${cause.message}`, { cause })
  }
}

/**
 * The same policies by namespace and name, with the values of every field sorted and once each. Rules, sources and
 * operations keep their order, because reasons count them.
 */
export function canonicalPolicies(policies: readonly AuthorizationPolicy[]): AuthorizationPolicy[] {
  return policies
    .map(canonicalPolicy)
    .sort(
      (a, b) =>
        compareText(a.metadata.namespace, b.metadata.namespace) ||
        compareText(a.metadata.name, b.metadata.name),
    )
}

function canonicalPolicy({ apiVersion, kind, metadata, spec }: AuthorizationPolicy): AuthorizationPolicy {
  const { selector, action, rules } = spec
  return {
    apiVersion,
    kind,
    metadata: { name: metadata.name, namespace: metadata.namespace },
    spec: {
      ...(selector && { selector: { serviceAccounts: sortedTexts(selector.serviceAccounts) } }),
      action,
      rules: rules.map(canonicalRule),
    },
  }
}

function canonicalRule({ from, to }: PolicyRule): PolicyRule {
  return {
    ...(from && { from: from.map(canonicalSource) }),
    ...(to && { to: to.map(canonicalOperation) }),
  }
}

function canonicalSource(source: PolicySource): PolicySource {
  const { principals, notPrincipals, namespaces, notNamespaces } = source
  return {
    ...(principals && { principals: sortedTexts(principals) }),
    ...(notPrincipals && { notPrincipals: sortedTexts(notPrincipals) }),
    ...(namespaces && { namespaces: sortedTexts(namespaces) }),
    ...(notNamespaces && { notNamespaces: sortedTexts(notNamespaces) }),
  }
}

function canonicalOperation(operation: PolicyOperation): PolicyOperation {
  const { ports, notPorts, methods, notMethods, paths, notPaths } = operation
  return {
    ...(ports && { ports: sortedNumbers(ports) }),
    ...(notPorts && { notPorts: sortedNumbers(notPorts) }),
    ...(methods && { methods: sortedTexts(methods) }),
    ...(notMethods && { notMethods: sortedTexts(notMethods) }),
    ...(paths && { paths: sortedTexts(paths) }),
    ...(notPaths && { notPaths: sortedTexts(notPaths) }),
  }
}

function sortedTexts(values: readonly string[]): string[] {
  return [...new Set(values)].sort(compareText)
}

function sortedNumbers(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b)
}

/** By code units: the same on every machine and in every locale. */
function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
