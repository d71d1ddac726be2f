/** A controller, two captured workloads with sidecars, and a stranger, each on a host of its own. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Cli, runCli } from '../cmd/cli.ts'
import { line } from '../cmd/mesh.ts'
import { NetworkApp } from '../support/network-app.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import {
  PROXY_USER,
  virtualNetwork,
  type VirtualHost,
  type VirtualNetwork,
} from '../support/virtual-network.ts'

const MAIN = join(import.meta.dirname, '../../src/cmd/main.ts')
const DEADLINE_MS = 240_000

/** The SPIFFE ID of a workload. */
export const idOf = (name: string): string => `spiffe://example.org/ns/shop/sa/${name}`

/** A host with an application, and with a sidecar once it was started. */
export interface Workload {
  readonly host: VirtualHost
  readonly app: NetworkApp
  /** Starts the sidecar with a `spec.capture` and more of its `spec`, in YAML flow style, and waits until traffic passes. */
  readonly startProxy: (capture: string, more?: Readonly<Record<string, string>>) => Promise<Cli>
}

/** Everything that runs. */
export interface CapturedMesh {
  readonly network: VirtualNetwork
  readonly directory: string
  readonly web: Workload
  readonly catalog: Workload
  /** Knows no mesh and has no sidecar. */
  readonly stranger: Workload
}

/** Starts hosts, applications and the controller, whose policy lets `web` speak to everyone. Nothing is captured yet. */
export async function capturedMesh(t: TestContext): Promise<CapturedMesh> {
  const directory = await temporaryDirectory(t)
  // Sidecars have a user of their own.
  chmodSync(directory, 0o755)
  const network = await virtualNetwork(t, 'controller', 'web', 'catalog', 'stranger')
  const [controller, ...others] = network.hosts
  const address = await startController(t, controller!, directory)
  const [web, catalog, stranger] = others.map((host) => workload(t, host, { directory, address }))
  return { network, directory, web: web!, catalog: catalog!, stranger: stranger! }
}

async function startController(t: TestContext, host: VirtualHost, directory: string): Promise<string> {
  const config = join(directory, 'controller.yaml')
  writeFileSync(
    config,
    `apiVersion: handfast.dev/v1alpha1
kind: ControllerConfig
spec:
  trustDomain: example.org
  stateDir: ${join(directory, 'state')}
  listen: ${host.ipv4}:15012
  policyPath: ${join(directory, 'policy.yaml')}
`,
  )
  writeFileSync(
    join(directory, 'policy.yaml'),
    `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: from-web, namespace: shop }
spec:
  action: ALLOW
  rules:
    - from: [{ principals: ["${idOf('web')}"] }]
`,
  )
  const cli = new Cli(t, ['controller', '--config', config], {}, DEADLINE_MS, MAIN, host.asRoot)
  return String((await line(cli, 'ready'))['address'])
}

function workload(
  t: TestContext,
  host: VirtualHost,
  { directory, address }: { readonly directory: string; readonly address: string },
): Workload {
  let proxies = 0
  return { host, app: new NetworkApp(t, host.asApp), startProxy }

  async function startProxy(capture: string, more: Readonly<Record<string, string>> = {}): Promise<Cli> {
    const name = `${host.name}-${++proxies}`
    const token = join(directory, `${name}.token`)
    const state = join(directory, 'state')
    const flags = ['--trust-domain', 'example.org', '--state-dir', state]
    const create = ['controller', 'token', 'create', '--spiffe-id', idOf(host.name), '--output', token]
    const made = await runCli(t, [...create, ...flags])
    assert.equal(made.code, 0, made.stderr)
    chownSync(token, PROXY_USER, PROXY_USER)
    const bundle = join(directory, 'root.pem')
    // The controller's state is its own; whom to trust is for everyone to know.
    copyFileSync(join(state, 'trust-bundle.pem'), bundle)
    chmodSync(bundle, 0o644)
    const config = join(directory, `${name}.yaml`)
    writeFileSync(
      config,
      `apiVersion: handfast.dev/v1alpha1
kind: ProxyConfig
spec:
  trustDomain: example.org
  controller: { address: "${address}", trustBundleFile: ${bundle}, joinTokenFile: ${token} }
  drainTimeout: 500ms
  capture: ${capture}
${Object.entries(more)
  .map(([field, value]) => `  ${field}: ${value}\n`)
  .join('')}`,
    )
    const cli = new Cli(t, ['proxy', '--config', config], {}, DEADLINE_MS, MAIN, host.asProxy)
    await line(cli, 'ready')
    return cli
  }
}
