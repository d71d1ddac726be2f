/** A small mesh on loopback: two proxies of the real kind with identities and policy handed to them, and applications. */
import { request, type IncomingMessage, type RequestOptions } from 'node:http'
import { parsePolicies } from '../../src/authz/parse.ts'
import { compilePolicies } from '../../src/authz/compile.ts'
import type { PolicySet } from '../../src/authz/policy-set.ts'
import type { Address } from '../../src/config/address.ts'
import type {
  InboundListener,
  OutboundListener,
  ProxyConfig,
  TlsEngine,
  TrafficLimits,
} from '../../src/config/proxy-config.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import type { Revocations } from '../../src/identity/revocations.ts'
import { parseX509Svid, type X509Svid } from '../../src/identity/svid.ts'
import { MeshViews, type MeshView } from '../../src/proxy/mesh-view.ts'
import { decisionIds } from '../../src/proxy/decision-ids.ts'
import { startProxy, type RunningProxy } from '../../src/proxy/proxy.ts'
import type { StartThread } from '../../src/proxy/threads/thread-slot.ts'
import type { Cleanup } from './apps.ts'
import {
  mintSvid,
  mintTrustDomain,
  TRUST_DOMAIN,
  type Minted,
  type MintedTrustDomain,
} from './certificates.ts'
import { startInlineThread } from './inline-thread.ts'
import { MemoryLog } from './memory-log.ts'
import { TRANSPORT } from './transports.ts'

export const crypto: CryptoProvider = nativeCrypto()

/** The SPIFFE ID of a service account in the namespace `shop`. */
export function idOf(serviceAccount: string): string {
  return `spiffe://${TRUST_DOMAIN}/ns/shop/sa/${serviceAccount}`
}

/** What `serviceAccounts` may do, as one ALLOW policy per entry for the workload `catalog`. */
export function policy(...rules: readonly string[]): PolicySet {
  const documents = rules.map(
    (rule, index) => `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: rule-${index}, namespace: shop }
spec:
  action: ALLOW
  rules:
    - ${rule}`,
  )
  const files = [{ name: 'policy.yaml', text: documents.join('\n---\n') }]
  return compilePolicies(parsePolicies(rules.length === 0 ? [] : files), {
    crypto,
    trustDomain: TRUST_DOMAIN,
    newId: decisionIds(crypto),
  })
}

/** Allows the service account everything. */
export function allow(serviceAccount: string): string {
  return `from: [{ principals: ["${idOf(serviceAccount)}"] }]`
}

function svidOf({ chain, key }: Minted): X509Svid {
  return parseX509Svid(chain, key)
}

export async function mint(domain: MintedTrustDomain, name: string, lifeMs?: number): Promise<X509Svid> {
  const options = lifeMs === undefined ? {} : { notAfterMs: Date.now() + lifeMs }
  return svidOf(await mintSvid(domain.intermediate, idOf(name), options))
}

/** A running proxy with the levers that the mesh would pull. */
export interface TestProxy extends RunningProxy {
  readonly views: MeshViews
  readonly log: MemoryLog
  /** Resolves when connections are made, and judged, with it. */
  readonly publishIdentity: (identity: Pick<MeshView, 'svid' | 'bundles'>) => Promise<void>
  /** Resolves when traffic is judged by it. */
  readonly publishPolicy: (policy: PolicySet) => Promise<void>
  /** Resolves when traffic is judged by them. */
  readonly publishRevocations: (revocations: Revocations) => Promise<void>
}

export interface TestProxyOptions {
  readonly outbound?: readonly OutboundListener[]
  readonly inbound?: readonly InboundListener[]
  readonly drainTimeoutMs?: number
  readonly handshakeTimeoutMs?: number
  /** @default that of DEFAULTS */
  readonly tlsEngine?: TlsEngine
  /** @default true */
  readonly resumption?: boolean
  /** @default 1 */
  readonly threads?: number
  readonly limits?: Partial<TrafficLimits>
  /** What the log keeps, in memory. @default 'info' */
  readonly logLevel?: ProxyConfig['log']['level']
  /** @default on the test's own thread */
  readonly startThread?: StartThread
}

/** What every proxy is made with; test/proxy/openssl.test.ts runs the tests of others with another engine. */
export const DEFAULTS: { tlsEngine: TlsEngine } = { tlsEngine: 'handfast' }

/** Starts a proxy without identity and policy; the test publishes them. It is stopped after the test. */
export async function proxyOf(t: Cleanup, options: TestProxyOptions): Promise<TestProxy> {
  const views = new MeshViews()
  const log = new MemoryLog()
  const config: ProxyConfig = {
    trustDomain: TRUST_DOMAIN,
    controller: {
      addresses: [{ host: '127.0.0.1', port: 15_012 }],
      trustBundleFile: 'bundle.pem',
      spiffeId: idOf('controller'),
      joinTokenFile: 'token',
    },
    admin: { listen: LOOPBACK },
    outbound: options.outbound ?? [],
    inbound: options.inbound ?? [],
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? 5_000,
    drainTimeoutMs: options.drainTimeoutMs ?? 0,
    transport: 'auto',
    tlsEngine: options.tlsEngine ?? DEFAULTS.tlsEngine,
    resumption: options.resumption ?? true,
    threads: options.threads ?? 1,
    limits: { connections: 1_000, handshakes: 100, ...options.limits },
    log: { level: options.logLevel ?? 'info' },
  }
  const proxy = await startProxy({
    config,
    startThread: options.startThread ?? startInlineThread,
    transport: TRANSPORT,
    crypto,
    nowMs: Date.now,
    views,
    log,
    onLines: (text) => log.take(text),
    random: Math.random,
  })
  t.after(() => proxy.drain())
  return {
    ...proxy,
    views,
    log,
    async publishIdentity(identity) {
      views.publishIdentity(identity)
      await proxy.settled()
    },
    async publishPolicy(policies) {
      views.publishPolicy(policies)
      await proxy.settled()
    },
    async publishRevocations(revocations) {
      views.publishPolicy(views.current!.policy, { revocations })
      await proxy.settled()
    },
  }
}

export const LOOPBACK: Address = { host: '127.0.0.1', port: 0 }

/** web → catalog: an outbound proxy, an inbound proxy, and their trust domain. */
export interface World {
  readonly domain: MintedTrustDomain
  readonly web: TestProxy
  readonly catalog: TestProxy
  /** Where the application of `web` connects to. */
  readonly entry: Address
  /** Where the inbound proxy listens for mutual TLS. */
  readonly gate: Address
}

export interface WorldOptions {
  readonly protocol: 'tcp' | 'http'
  /** Where the application listens. */
  readonly app: Address
  /** @default web may do everything */
  readonly rules?: readonly string[]
  /** Whom the outbound side insists on. @default catalog */
  readonly expectedPeer?: string
  readonly drainTimeoutMs?: number
  /** How long web's certificate lives. @default an hour */
  readonly webLifeMs?: number
  /** Of each proxy. @default that of DEFAULTS */
  readonly tlsEngines?: { readonly web: TlsEngine; readonly catalog: TlsEngine }
  /** Of both proxies. @default true */
  readonly resumption?: boolean
  /** Of both proxies. @default 1 */
  readonly threads?: number
  readonly limits?: Partial<TrafficLimits>
  /** @default on the test's own thread */
  readonly startThread?: StartThread
}

export async function worldOf(t: Cleanup, options: WorldOptions): Promise<World> {
  const {
    protocol,
    app,
    rules = [allow('web')],
    drainTimeoutMs,
    threads,
    limits,
    tlsEngines,
    resumption,
    startThread,
  } = options
  const domain = await mintTrustDomain()
  const common = {
    ...(drainTimeoutMs !== undefined && { drainTimeoutMs }),
    ...(threads !== undefined && { threads }),
    ...(limits !== undefined && { limits }),
    ...(resumption !== undefined && { resumption }),
    ...(startThread !== undefined && { startThread }),
  }
  const catalog = await proxyOf(t, {
    ...common,
    ...(tlsEngines && { tlsEngine: tlsEngines.catalog }),
    inbound: [{ name: 'catalog', listen: LOOPBACK, forward: app, protocol }],
  })
  const gate = catalog.addresses['catalog']!
  const web = await proxyOf(t, {
    ...common,
    ...(tlsEngines && { tlsEngine: tlsEngines.web }),
    outbound: [
      {
        name: 'to-catalog',
        listen: LOOPBACK,
        connect: gate,
        peer: options.expectedPeer ?? idOf('catalog'),
        protocol,
      },
    ],
  })
  await catalog.publishIdentity({ svid: await mint(domain, 'catalog'), bundles: domain.bundles })
  await catalog.publishPolicy(policy(...rules))
  await web.publishIdentity({ svid: await mint(domain, 'web', options.webLifeMs), bundles: domain.bundles })
  await web.publishPolicy(policy())
  return { domain, web, catalog, entry: web.addresses['to-catalog']!, gate }
}

export interface Fetched {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

/** One HTTP request to an address, with whatever node:http takes. */
export function fetchFrom(
  address: Address,
  options: RequestOptions = {},
  body?: string | Buffer,
): Promise<Fetched> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...address, agent: false, ...options }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          text: Buffer.concat(chunks).toString(),
        }),
      )
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
