import type { PolicyResource } from '../config/policy-resource.ts'

/** How a policy is named in reasons and logs: `namespace/name`. */
export function policyName({ metadata }: Pick<PolicyResource, 'metadata'>): string {
  return `${metadata.namespace}/${metadata.name}`
}

/** What no two resources share; there is only one AuthorizationDefault at all. */
export function resourceName(resource: PolicyResource): string {
  return resource.kind === 'AuthorizationDefault' ? resource.kind : `${resource.kind} ${policyName(resource)}`
}
