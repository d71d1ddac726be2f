import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { WorkloadName } from '../load/workload.ts'
import { freePort, Program, runToEnd } from '../support/program.ts'
import {
  CATALOG,
  KINDS,
  TRUST_DOMAIN,
  WEB,
  workloadsOf,
  type Collections,
  type Pair,
  type PairOptions,
} from './pair.ts'

/** As it is shipped: to strip types at run time costs memory. */
const MAIN = join(import.meta.dirname, '../../dist/cmd/main.js')

const POLICY = `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: web, namespace: bench }
spec:
  selector: { serviceAccounts: [catalog] }
  action: ALLOW
  rules:
    - from: [{ principals: ['${WEB}'] }]
`

/** How long a proxy may take to get its certificate and policy. */
const READY_MS = 20_000

export interface HandfastOptions extends PairOptions {
  /** Of the proxies: at `info` they write a line for each connection or request. */
  readonly logLevel: string
  /** What goes before the script on the proxies' command lines. */
  readonly nodeArgs: readonly string[]
}

/** A running controller, ready to give proxies their identities. */
export interface Controller {
  readonly address: string
  readonly config: string
}

/** Starts a controller that allows `web` to call `catalog`. */
export async function startController({ directory, programs }: HandfastOptions): Promise<Controller> {
  const config = join(directory, 'controller.yaml')
  await writeFile(join(directory, 'policy.yaml'), POLICY)
  await writeFile(
    config,
    `apiVersion: handfast.dev/v1alpha1
kind: ControllerConfig
spec:
  trustDomain: ${TRUST_DOMAIN}
  listen: 127.0.0.1:0
  stateDir: ${join(directory, 'state')}
  policyPath: ${join(directory, 'policy.yaml')}
`,
  )
  const program = programs.use(
    new Program('handfast controller', [process.execPath, MAIN, 'controller', '--config', config]),
  )
  const { address } = await program.line(({ message }) => message === 'ready')
  return { address: address as string, config }
}

/** What sets one pair of ours apart from another. */
export interface Variant {
  readonly name: string
  readonly protocol: 'tcp' | 'http'
  /** As in a proxy.yaml. */
  readonly transport: 'auto' | 'node'
  readonly resumption: boolean
  readonly workloads: readonly WorkloadName[]
}

export const VARIANTS: readonly Variant[] = [
  ...KINDS.map(({ suffix, resumes }) => ({
    name: `handfast${suffix}`,
    protocol: 'tcp' as const,
    transport: 'auto' as const,
    resumption: resumes,
    workloads: workloadsOf(resumes),
  })),
  {
    name: 'handfast, node sockets',
    protocol: 'tcp',
    transport: 'node',
    resumption: true,
    workloads: ['requests', 'many-requests', 'bulk', 'many-bulk'],
  },
  // An HTTP listener keeps its connections to the peer and reuses them: no handshakes to count.
  {
    name: 'handfast, http',
    protocol: 'http',
    transport: 'auto',
    resumption: true,
    workloads: ['requests', 'many-requests', 'bulk', 'latency'],
  },
]

/** Starts two `handfast proxy` with join tokens, and waits until they have certificates and policy. */
export async function handfastPair(
  { name, protocol, transport, resumption, workloads }: Variant,
  controller: Controller,
  options: HandfastOptions,
): Promise<Pair> {
  const [entry, gate] = [await freePort(), await freePort()]
  const inbound = await startProxy({
    name: `catalog-${protocol}-${transport}-${resumption}`,
    id: CATALOG,
    controller,
    options,
    transport,
    resumption,
    listeners: `
  inbound:
    - { name: catalog, listen: '127.0.0.1:${gate}', forward: '127.0.0.1:${options.backendPort}', protocol: ${protocol} }`,
  })
  const outbound = await startProxy({
    name: `web-${protocol}-${transport}-${resumption}`,
    id: WEB,
    controller,
    options,
    transport,
    resumption,
    listeners: `
  outbound:
    - { name: catalog, listen: '127.0.0.1:${entry}', connect: '127.0.0.1:${gate}', peer: '${CATALOG}', protocol: ${protocol} }`,
  })
  return {
    name,
    port: entry,
    proxies: [inbound.program, outbound.program],
    workloads,
    collections: async () => {
      const [a, b] = await Promise.all([collectionsOf(inbound), collectionsOf(outbound)])
      return {
        count: a.count + b.count,
        milliseconds: a.milliseconds + b.milliseconds,
        long: a.long + b.long,
      }
    },
  }
}

/** A proxy at work. */
interface RunningProxy {
  readonly program: Program
  readonly adminPort: number
}

async function collectionsOf({ adminPort }: RunningProxy): Promise<Collections> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/threads`)
  const threads = (await response.json()) as readonly { readonly counters: Record<string, number> }[]
  const sum = (name: string): number => threads.reduce((total, { counters }) => total + counters[name]!, 0)
  return {
    count: sum('collections'),
    milliseconds: sum('collectionMicros') / 1000,
    long: sum('longCollections'),
  }
}

interface ProxyParts {
  readonly name: string
  readonly id: string
  readonly controller: Controller
  readonly options: HandfastOptions
  readonly transport: Variant['transport']
  readonly resumption: boolean
  /** YAML of the listeners. */
  readonly listeners: string
}

async function startProxy({
  name,
  id,
  controller,
  options,
  transport,
  resumption,
  listeners,
}: ProxyParts): Promise<RunningProxy> {
  const { directory, programs, logLevel, nodeArgs } = options
  const token = join(directory, `${name}.token`)
  const config = join(directory, `${name}.yaml`)
  const adminPort = await freePort()
  const flags = ['--spiffe-id', id, '--output', token, '--config', controller.config]
  await runToEnd([process.execPath, MAIN, 'controller', 'token', 'create', ...flags])
  await writeFile(
    config,
    `apiVersion: handfast.dev/v1alpha1
kind: ProxyConfig
spec:
  trustDomain: ${TRUST_DOMAIN}
  controller:
    address: ${controller.address}
    trustBundleFile: ${join(directory, 'state', 'trust-bundle.pem')}
    joinTokenFile: ${token}
  admin: { listen: '127.0.0.1:${adminPort}' }
  transport: ${transport}
  resumption: ${resumption}
  log: { level: ${logLevel} }${listeners}
`,
  )
  const program = programs.use(
    new Program(`handfast proxy ${name}`, [process.execPath, ...nodeArgs, MAIN, 'proxy', '--config', config]),
  )
  await ready(name, adminPort)
  return { program, adminPort }
}

async function ready(name: string, adminPort: number): Promise<void> {
  for (const late = Date.now() + READY_MS; Date.now() < late; await pause(50)) {
    const response = await fetch(`http://127.0.0.1:${adminPort}/ready`).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.ok === true) return
  }
  throw new Error(`The proxy ${name} did not become ready`)
}
