import type { AuthorizationPolicy } from '../config/policy-config.ts'

/** How a policy is named in reasons and logs: `namespace/name`. */
export function policyName({ metadata }: AuthorizationPolicy): string {
  return `${metadata.namespace}/${metadata.name}`
}
