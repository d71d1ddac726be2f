/** Policy that changes again and again while traffic runs, so built that any mixture of two policies would show. */
import { Agent } from 'node:http'
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { parsePolicies } from '../../src/authz/parse.ts'
import { compilePolicies } from '../../src/authz/compile.ts'
import type { PolicySet } from '../../src/authz/policy-set.ts'
import type { Address } from '../../src/config/address.ts'
import { decisionIds } from '../../src/proxy/decision-ids.ts'
import type { StartThread } from '../../src/proxy/threads/thread-slot.ts'
import { httpApp, tcpApp, type Cleanup } from './apps.ts'
import { mintTrustDomain, TRUST_DOMAIN } from './certificates.ts'
import { crypto, fetchFrom, idOf, LOOPBACK, mint, policy, proxyOf, type TestProxy } from './proxy-world.ts'

export interface ReloadOptions {
  /** Changes back and forth: twice as many policies are published. */
  readonly rounds: number
  /** Connections that send HTTP requests all the time. */
  readonly clients: number
  /** TCP connections that each round's second policy denies. */
  readonly victims: number
  /** Of both proxies. @default 1 */
  readonly threads?: number
  /** @default on the test's own thread */
  readonly startThread?: StartThread
  /** What the proxies' logs keep, in memory. @default 'info' */
  readonly logLevel?: 'info' | 'error'
  /** Called once everything runs, with the proxy whose policy changes. @default nothing happens */
  readonly onStarted?: (catalog: TestProxy) => void | Promise<void>
  /** Called after each round, from 1. @default nothing happens */
  readonly onRound?: (round: number) => void | Promise<void>
}

export interface ReloadResult {
  readonly policies: number
  readonly requests: number
  /** Answers that neither policy gives, and requests that broke. */
  readonly violations: readonly string[]
  /** From publishing the policy that denies them to the end at the client, in milliseconds. */
  readonly cutsMs: readonly number[]
  /** From publishing to the time when all threads work by it, in milliseconds. */
  readonly adoptedMs: readonly number[]
  readonly catalog: TestProxy
}

/** Alternates two policies under load. */
export async function reloadUnderLoad(t: Cleanup, options: ReloadOptions): Promise<ReloadResult> {
  const { catalog, http, tcp, policies } = await start(t, options)
  const [first, second] = policies
  await catalog.publishPolicy(first)
  await options.onStarted?.(catalog)

  const violations: string[] = []
  const load = new Load(http, violations)
  const clients = Array.from({ length: options.clients }, () => load.run())
  const cutsMs: number[] = []
  const adoptedMs: number[] = []
  const publish = async (next: PolicySet): Promise<void> => {
    const startedMs = performance.now()
    await catalog.publishPolicy(next)
    adoptedMs.push(performance.now() - startedMs)
  }
  for (let round = 0; round < options.rounds; round++) {
    const victims = await Promise.all(Array.from({ length: options.victims }, () => talking(tcp)))
    const publishedMs = performance.now()
    const cuts = victims.map(async (victim) => {
      await new Promise((resolve) => victim.once('close', resolve))
      cutsMs.push(performance.now() - publishedMs)
    })
    await Promise.all([publish(second), ...cuts])
    await publish(first)
    await options.onRound?.(round + 1)
  }
  load.stop()
  await Promise.all(clients)
  return {
    policies: adoptedMs.length,
    requests: load.requests,
    violations,
    cutsMs,
    adoptedMs,
    catalog,
  }
}

/**
 * Of the two resources of each policy, the one allows both probes and the other denies the second. So `allowed` is permitted and
 * `denied` is not, by either; the one of the first with the two of the second would permit both, and the reverse none.
 */
function alternating({
  httpPort,
  tcpPort,
}: {
  readonly httpPort: number
  readonly tcpPort: number
}): [PolicySet, PolicySet] {
  const allowing = (name: string): string => `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec:
  action: ALLOW
  rules: [{ to: [{ ports: [${httpPort}], paths: [/allowed, /denied] }] }]`
  const denying = (name: string): string => `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec:
  action: DENY
  rules: [{ to: [{ ports: [${httpPort}], paths: [/denied] }] }]`
  const tcp = (port: number): string => `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: tcp, namespace: shop }
spec:
  action: ALLOW
  rules: [{ to: [{ ports: [${port}] }] }]`
  const compiled = (...documents: readonly string[]): PolicySet =>
    compilePolicies(parsePolicies([{ name: 'policy.yaml', text: documents.join('\n---\n') }]), {
      crypto,
      trustDomain: TRUST_DOMAIN,
      newId: decisionIds(crypto),
    })
  return [
    compiled(allowing('one'), denying('two'), tcp(tcpPort)),
    compiled(denying('one'), allowing('two'), tcp(1)),
  ]
}

async function start(t: Cleanup, { threads = 1, startThread, logLevel }: ReloadOptions) {
  const [web, bytes] = await Promise.all([
    httpApp(t, (_incoming, response) => response.end('ok')),
    tcpApp(t, (socket) => socket.pipe(socket)),
  ])
  const domain = await mintTrustDomain()
  const common = { threads, ...(startThread && { startThread }), ...(logLevel && { logLevel }) }
  const catalog = await proxyOf(t, {
    ...common,
    inbound: [
      { name: 'http', listen: LOOPBACK, forward: web.address, protocol: 'http' },
      { name: 'tcp', listen: LOOPBACK, forward: bytes.address, protocol: 'tcp' },
    ],
  })
  const outbound = (['http', 'tcp'] as const).map((protocol) => ({
    name: protocol,
    listen: LOOPBACK,
    connect: catalog.addresses[protocol]!,
    peer: idOf('catalog'),
    protocol,
  }))
  const client = await proxyOf(t, { ...common, outbound })
  await catalog.publishIdentity({ svid: await mint(domain, 'catalog'), bundles: domain.bundles })
  await client.publishIdentity({ svid: await mint(domain, 'web'), bundles: domain.bundles })
  await client.publishPolicy(policy())
  return {
    catalog,
    http: client.addresses['http']!,
    tcp: client.addresses['tcp']!,
    policies: alternating({
      httpPort: catalog.addresses['http']!.port,
      tcpPort: catalog.addresses['tcp']!.port,
    }),
  }
}

/** Requests without end, of which every answer is known. */
class Load {
  readonly #address: Address
  readonly #violations: string[]
  requests = 0
  #stopped = false

  constructor(address: Address, violations: string[]) {
    this.#address = address
    this.#violations = violations
  }

  stop(): void {
    this.#stopped = true
  }

  async run(): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (!this.#stopped) {
      for (const [path, expected] of [
        ['/allowed', 200],
        ['/denied', 403],
      ] as const) {
        this.requests++
        const status = await fetchFrom(this.#address, { agent, path }).then(
          (answer) => answer.status,
          (error: Error) => error.message,
        )
        if (status !== expected) this.#violations.push(`${path}: ${status}`)
      }
    }
    agent.destroy()
  }
}

/** A connection over which bytes have come back already. */
async function talking({ host, port }: Address): Promise<Socket> {
  const socket = connect({ host, port })
  socket.on('error', () => {})
  socket.write('x')
  await once(socket, 'data')
  return socket
}
