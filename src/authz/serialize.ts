import { ConfigError } from '../config/errors.ts'
import { parseJsonList } from '../config/parse.ts'
import { type PolicyResource, policyResourceSchema } from '../config/policy-resource.ts'
import { canonicalResources } from './canonical.ts'
import { PolicyError } from './errors.ts'
import { resourceName } from './policy-name.ts'
import { allResources, policyResources, type PolicyResources } from './resources.ts'
import { valueProblems } from './value-problems.ts'

/**
 * Policies as the controller sends them to proxies: a JSON list in canonical order, so that the same policies always
 * give the same text, whatever files and order they were read from.
 */
export function serializePolicies(resources: PolicyResources): string {
  return JSON.stringify(allResources(canonicalResources(resources)))
}

/**
 * Reads what {@link serializePolicies} wrote, and nothing else.
 *
 * @throws PolicyError AUTHZ_POLICIES_MALFORMED
 */
export function deserializePolicies(text: string): PolicyResources {
  const list = readList(text)
  const resources = policyResources(list)
  // One spelling only: a revision names one text, and what was signed off is what is in force.
  if (serializePolicies(resources) !== text)
    throw new PolicyError('AUTHZ_POLICIES_MALFORMED', 'Policies are not in canonical form')
  if (new Set(list.map(resourceName)).size !== list.length)
    throw new PolicyError('AUTHZ_POLICIES_MALFORMED', 'Two policies have the same name')
  const [problem] = resources.authorizationPolicies.flatMap(valueProblems)
  if (problem !== undefined)
    throw new PolicyError(
      'AUTHZ_POLICIES_MALFORMED',
      `A policy has a value that cannot be used: expected ${problem.expected}, got ${problem.got}`,
    )
  return resources
}

function readList(text: string): PolicyResource[] {
  try {
    return parseJsonList(text, { file: 'policies', schema: policyResourceSchema })
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause
    throw new PolicyError('AUTHZ_POLICIES_MALFORMED', `Policies are malformed: ${cause.message}`, { cause })
  }
}
