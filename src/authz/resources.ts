import type { PeerAuthentication } from '../config/peer-authentication-config.ts'
import type { AuthorizationPolicy } from '../config/policy-config.ts'
import { type AuthorizationDefault, type PolicyResource, ROOT_NAMESPACE } from '../config/policy-resource.ts'
import type { RequestAuthentication } from '../config/request-authentication-config.ts'
import type { Workload } from './request.ts'

/** All policy of a mesh, or all of it for one workload. */
export interface PolicyResources {
  /** Absent: DENY. */
  readonly authorizationDefault?: AuthorizationDefault
  readonly authorizationPolicies: readonly AuthorizationPolicy[]
  readonly peerAuthentications: readonly PeerAuthentication[]
  readonly requestAuthentications: readonly RequestAuthentication[]
}

/** Sorts resources by kind; of each, the order stays. */
export function policyResources(resources: readonly PolicyResource[]): PolicyResources {
  const ofKind = <Kind extends PolicyResource['kind']>(
    kind: Kind,
  ): Extract<PolicyResource, { kind: Kind }>[] =>
    resources.filter((resource) => resource.kind === kind) as Extract<PolicyResource, { kind: Kind }>[]
  const [authorizationDefault] = ofKind('AuthorizationDefault')
  return {
    ...(authorizationDefault && { authorizationDefault }),
    authorizationPolicies: ofKind('AuthorizationPolicy'),
    peerAuthentications: ofKind('PeerAuthentication'),
    requestAuthentications: ofKind('RequestAuthentication'),
  }
}

/** Every resource, one kind after the other. */
export function allResources(resources: PolicyResources): PolicyResource[] {
  const { authorizationDefault, authorizationPolicies, peerAuthentications, requestAuthentications } =
    resources
  return [
    ...(authorizationDefault ? [authorizationDefault] : []),
    ...authorizationPolicies,
    ...peerAuthentications,
    ...requestAuthentications,
  ]
}

/** The resources that have a say about one workload: all that whoever decides for it alone needs. */
export function resourcesFor(resources: PolicyResources, workload: Workload): PolicyResources {
  return policyResources(allResources(resources).filter((resource) => isFor(resource, workload)))
}

function isFor({ metadata, spec }: PolicyResource, workload: Workload): boolean {
  if (metadata.namespace !== ROOT_NAMESPACE && metadata.namespace !== workload.namespace) return false
  if (!('selector' in spec) || spec.selector === undefined) return true
  return spec.selector.serviceAccounts.includes(workload.serviceAccount)
}
