import type { MutualTlsMode, PeerAuthentication } from '../config/peer-authentication-config.ts'
import { ROOT_NAMESPACE } from '../config/policy-resource.ts'
import { PolicyError } from './errors.ts'
import { policyName } from './policy-name.ts'
import type { Workload } from './request.ts'

/** The mode on one port, and what set it. */
export interface EffectiveMode {
  readonly mode: MutualTlsMode
  /** The resource's `namespace/name`; absent where none has a say and the mesh is strict. */
  readonly setBy?: string
}

/**
 * What clients must show on a port of a workload: the narrowest resource that says so decides. First the port in a
 * resource for the workload, then that resource as a whole, then that of its namespace, then that of the mesh.
 *
 * @param resources at most one for each scope, as `parsePolicies` makes sure of
 */
export function effectiveMode(
  resources: readonly PeerAuthentication[],
  workload: Workload,
  port: number,
): EffectiveMode {
  const [own, namespace, mesh] = [isForWorkload, isForNamespace, isForMesh].map((isFor) =>
    resources.find((resource) => isFor(resource, workload)),
  )
  const onPort = own?.spec.portLevelMtls?.[port]?.mode
  if (onPort !== undefined) return { mode: onPort, setBy: policyName(own!) }
  const setter = [own, namespace, mesh].find((resource) => resource?.spec.mtls !== undefined)
  return setter === undefined
    ? { mode: 'STRICT' }
    : { mode: setter.spec.mtls!.mode, setBy: policyName(setter) }
}

/**
 * Makes sure that the proxy of a workload does not serve a port in another way than it is told to: it knows mutual TLS only.
 *
 * @param ports those that it serves; undefined when it may be any
 * @throws PolicyError AUTHZ_MODE_NOT_AVAILABLE
 */
export function checkModes(
  resources: readonly PeerAuthentication[],
  workload: Workload,
  ports: readonly number[] | undefined,
): void {
  for (const port of ports ?? namedPorts(resources, workload)) {
    const { mode, setBy } = effectiveMode(resources, workload, port)
    if (mode === 'STRICT') continue
    throw new PolicyError(
      'AUTHZ_MODE_NOT_AVAILABLE',
      `PeerAuthentication ${setBy} sets ${mode} for ${port === UNNAMED_PORT ? 'its workloads' : `port ${port}`}, ` +
        'and this proxy serves mutual TLS only; set STRICT',
    )
  }
}

/** Stands for every port that no resource names. */
const UNNAMED_PORT = 0

function namedPorts(resources: readonly PeerAuthentication[], workload: Workload): number[] {
  const named = resources
    .filter((resource) => isForWorkload(resource, workload))
    .flatMap(({ spec }) => Object.keys(spec.portLevelMtls ?? {}))
  return [UNNAMED_PORT, ...named.map(Number)]
}

/** A resource of the root namespace with a selector is for such workloads of every namespace. */
function isForWorkload(
  { metadata, spec }: PeerAuthentication,
  { namespace, serviceAccount }: Workload,
): boolean {
  return (
    (metadata.namespace === namespace || metadata.namespace === ROOT_NAMESPACE) &&
    spec.selector?.serviceAccounts.includes(serviceAccount) === true
  )
}

function isForNamespace({ metadata, spec }: PeerAuthentication, { namespace }: Workload): boolean {
  return (
    metadata.namespace === namespace && metadata.namespace !== ROOT_NAMESPACE && spec.selector === undefined
  )
}

function isForMesh({ metadata, spec }: PeerAuthentication): boolean {
  return metadata.namespace === ROOT_NAMESPACE && spec.selector === undefined
}
