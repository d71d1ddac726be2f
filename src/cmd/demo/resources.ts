/** The YAML files that the demo writes for its processes; operators write the same. */
import { API_VERSION } from '../../config/fields.ts'
import { idOf, NAMESPACE, SVID_TTL_SECONDS, TRUST_DOMAIN, type Workload } from './shop.ts'

/** controller.yaml */
export function controllerYaml(paths: { readonly stateDir: string; readonly policyPath: string }): string {
  return `apiVersion: ${API_VERSION}
kind: ControllerConfig
spec:
  trustDomain: ${TRUST_DOMAIN}
  listen: 127.0.0.1:0
  stateDir: ${quote(paths.stateDir)}
  policyPath: ${quote(paths.policyPath)}
  # An hour in earnest; here it is short, so that renewals can be watched.
  svidTtl: ${SVID_TTL_SECONDS}s
`
}

/** The name of the one policy, as decisions give it. */
export const POLICY_NAME: string = `${NAMESPACE}/catalog-readers`

/** Who may call catalog: web, to read items. Nobody else, and nothing else. */
export function policyYaml(): string {
  return `# Who may call whom. What no rule allows is denied. Changes are in force as soon as this file is saved.
apiVersion: ${API_VERSION}
kind: AuthorizationPolicy
metadata:
  name: catalog-readers
  namespace: ${NAMESPACE}
spec:
  selector:
    serviceAccounts: [catalog]
  action: ALLOW
  rules:
    - from:
        - principals: [${idOf('web')}]
      to:
        - methods: [GET]
          paths: [/items, /items/*]
`
}

/** What differs from sidecar to sidecar. */
export interface SidecarYaml {
  readonly controllerAddress: string
  readonly trustBundleFile: string
  readonly joinTokenFile: string
  /** Where the workload's own application listens, if peers may reach it. */
  readonly app?: string
  /** Where catalog's sidecar listens, for workloads that call it. */
  readonly catalog?: string
}

/** proxy.yaml of one workload's sidecar. Every port is whichever is free. */
export function sidecarYaml(workload: Workload, settings: SidecarYaml): string {
  const { controllerAddress, trustBundleFile, joinTokenFile, app, catalog } = settings
  const inbound = `  inbound:
    - name: ${workload}
      listen: 127.0.0.1:0
      forward: ${app}
      protocol: http
`
  const outbound = `  outbound:
    - name: catalog
      listen: 127.0.0.1:0
      connect: ${catalog}
      peer: ${idOf('catalog')}
      protocol: http
`
  return `# The sidecar of ${idOf(workload)}
apiVersion: ${API_VERSION}
kind: ProxyConfig
spec:
  trustDomain: ${TRUST_DOMAIN}
  controller:
    address: ${controllerAddress}
    trustBundleFile: ${quote(trustBundleFile)}
    joinTokenFile: ${quote(joinTokenFile)}
  admin:
    listen: 127.0.0.1:0
  drainTimeout: 1s
${app === undefined ? '' : inbound}${catalog === undefined ? '' : outbound}`
}

/** YAML takes JSON's strings as they are. */
function quote(text: string): string {
  return JSON.stringify(text)
}
