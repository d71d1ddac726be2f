import * as z from 'zod'
import { type Address, formatAddress } from './address.ts'
import { CAPTURE_LISTENERS, type CaptureConfig, captureSection } from './capture-config.ts'
import {
  address,
  duration,
  envelope,
  filePath,
  label,
  listenAddress,
  type LogLevel,
  logSection,
  loopbackAddress,
  loopbackListenAddress,
  mapping,
  spiffeId,
  trustDomain,
  wholeNumber,
} from './fields.ts'
import { trustDomainOf } from './spiffe.ts'
import { type WorkloadApiConfig, workloadApiSection } from './workload-api-config.ts'
import type { FieldPath } from './yaml-position.ts'

/** Whether a listener's traffic is read as HTTP, so that policy can judge each request, or carried as bytes. */
export type ListenerProtocol = 'http' | 'tcp'

/** How to reach the network: `auto` is `epoll` where that can be had, else `node`. */
export type TransportChoice = 'auto' | 'epoll' | 'node'

/** Plaintext of the local app in, mutual TLS to one named peer out. */
export interface OutboundListener {
  readonly name: string
  /** Always a loopback address. */
  readonly listen: Address
  readonly connect: Address
  /** The SPIFFE ID that the peer must prove. */
  readonly peer: string
  readonly protocol: ListenerProtocol
}

/** Mutual TLS from any peer in, plaintext to the local app out. */
export interface InboundListener {
  readonly name: string
  readonly listen: Address
  /** Always a loopback address. */
  readonly forward: Address
  readonly protocol: ListenerProtocol
}

/** Who makes the data plane's connections secure: our own engine, or OpenSSL through node:tls. */
export type TlsEngine = 'handfast' | 'openssl'

/** What a proxy takes on at once, in all its threads together. */
export interface TrafficLimits {
  /** Connections to one listener; further ones are reset. */
  readonly connections: number
  /** Handshakes of clients under way; further ones wait. */
  readonly handshakes: number
}

/** More threads than any machine that runs a sidecar has processors. */
export const MAX_THREADS = 64

/**
 * The descriptors of 16,384 connections, two for each, fit into what container runtimes commonly grant, and their memory
 * into a quarter of a gigabyte.
 */
const DEFAULT_CONNECTIONS = 16_384

/** Half a second of full handshakes on one core: whoever comes behind them still meets any sensible deadline. */
const DEFAULT_HANDSHAKES = 1_024

/** Three are plenty; a list without end would be tried without end. */
const MAX_CONTROLLERS = 16

/** The `spec` of a proxy.yaml, with every default filled in. */
export interface ProxyConfig {
  readonly trustDomain: string
  readonly controller: {
    /** Of its replicas; a name may stand for several. At least one. */
    readonly addresses: readonly Address[]
    /** PEM certificates that the controller's own certificate must lead to. */
    readonly trustBundleFile: string
    /** The SPIFFE ID that the controller must prove. */
    readonly spiffeId: string
    /** Exactly one of these three: what proves the workload while it has no certificate. */
    readonly joinTokenFile?: string | undefined
    readonly oidcTokenFile?: string | undefined
    readonly serviceAccountTokenFile?: string | undefined
  }
  readonly admin: { readonly listen: Address }
  readonly outbound: readonly OutboundListener[]
  readonly inbound: readonly InboundListener[]
  /** @default connections come to the listeners above only, made to them */
  readonly capture?: CaptureConfig | undefined
  /** @default no other program is given an identity */
  readonly workloadApi?: WorkloadApiConfig | undefined
  readonly handshakeTimeoutMs: number
  readonly drainTimeoutMs: number
  readonly transport: TransportChoice
  readonly tlsEngine: TlsEngine
  /** Whether connections between proxies go on from earlier ones; only our own engine does. */
  readonly resumption: boolean
  /** Threads that carry traffic. */
  readonly threads: number
  readonly limits: TrafficLimits
  readonly log: { readonly level: LogLevel }
}

const protocol = z.enum(['http', 'tcp']).default('tcp')

const outboundListener = mapping({
  name: label,
  listen: loopbackListenAddress,
  connect: address,
  peer: spiffeId,
  protocol,
})

const inboundListener = mapping({
  name: label,
  listen: listenAddress,
  forward: loopbackAddress,
  protocol,
})

const spec = mapping({
  trustDomain: trustDomain.optional(),
  controller: mapping({
    address: address.optional(),
    addresses: z
      .array(address, { error: 'a list of addresses' })
      .min(1, { error: 'at least one address' })
      .max(MAX_CONTROLLERS, { error: `at most ${MAX_CONTROLLERS} addresses` })
      .optional(),
    trustBundleFile: filePath,
    spiffeId: spiffeId.optional(),
    joinTokenFile: filePath.optional(),
    oidcTokenFile: filePath.optional(),
    serviceAccountTokenFile: filePath.optional(),
  }),
  admin: mapping({ listen: loopbackListenAddress.prefault('127.0.0.1:15000') }).prefault({}),
  outbound: z.array(outboundListener, { error: 'a list of outbound listeners' }).prefault([]),
  inbound: z.array(inboundListener, { error: 'a list of inbound listeners' }).prefault([]),
  capture: captureSection.optional(),
  workloadApi: workloadApiSection.optional(),
  handshakeTimeout: duration({ min: 100, max: 300_000 }).prefault('10s'),
  drainTimeout: duration({ min: 0, max: 3_600_000 }).prefault('10s'),
  transport: z.enum(['auto', 'epoll', 'node']).default('auto'),
  tlsEngine: z.enum(['handfast', 'openssl']).default('handfast'),
  resumption: z.boolean().default(true),
  // One thread does what two of Envoy's do, and each costs memory whether or not there is traffic (decision 9).
  threads: wholeNumber({ min: 1, max: MAX_THREADS }).default(1),
  limits: mapping({
    connections: wholeNumber({ min: 1, max: 1_000_000 }).default(DEFAULT_CONNECTIONS),
    handshakes: wholeNumber({ min: 1, max: 1_000_000 }).default(DEFAULT_HANDSHAKES),
  }).prefault({}),
  log: logSection,
})

/** The schema of a proxy.yaml (docs/configuration.md). */
export const proxyConfigSchema: z.ZodType<ProxyConfig> = envelope(
  'ProxyConfig',
  spec.superRefine(checkToken).superRefine(checkAddresses).superRefine(checkListeners).transform(complete),
)

/** Where traffic comes to a proxy. */
export interface NamedListener {
  readonly name: string
  readonly listen: Address
  /** Of its entry, below `spec`. */
  readonly path: FieldPath
}

/** Every listener of a configuration but the admin's; those of capture come last. */
export function listenersOf({
  outbound,
  inbound,
  capture,
}: Pick<ProxyConfig, 'outbound' | 'inbound' | 'capture'>): readonly NamedListener[] {
  const captured = capture === undefined ? [] : (['outbound', 'inbound'] as const)
  return [
    ...outbound.map(({ name, listen }, index) => ({ name, listen, path: ['outbound', index] })),
    ...inbound.map(({ name, listen }, index) => ({ name, listen, path: ['inbound', index] })),
    ...captured.map((direction) => ({
      name: CAPTURE_LISTENERS[direction],
      listen: capture![direction].listen,
      path: ['capture', direction],
    })),
  ]
}

function checkToken({ controller }: z.output<typeof spec>, context: z.RefinementCtx): void {
  const fields = ['joinTokenFile', 'oidcTokenFile', 'serviceAccountTokenFile'] as const
  const given = fields.filter((field) => controller[field] !== undefined)
  if (given.length === 1) return
  context.addIssue({
    code: 'custom',
    path: ['controller', given.at(-1) ?? 'joinTokenFile'],
    message: `one of ${fields.join(', ')}`,
    params: { got: given.length === 0 ? 'none' : given.join(' and ') },
  })
}

function checkAddresses({ controller }: z.output<typeof spec>, context: z.RefinementCtx): void {
  const { address: one, addresses: several } = controller
  if ((one === undefined) !== (several === undefined)) return
  context.addIssue({
    code: 'custom',
    path: ['controller', 'address'],
    message: 'either address or addresses',
    params: { got: one === undefined ? 'none' : 'both' },
  })
}

function checkListeners(raw: z.output<typeof spec>, context: z.RefinementCtx): void {
  const { outbound, inbound, capture, admin } = raw
  if (outbound.length + inbound.length === 0 && capture === undefined)
    context.addIssue({
      code: 'custom',
      path: ['outbound'],
      message: 'at least one listener in outbound or inbound, or capture',
    })

  const listeners = listenersOf(raw)
  refuseRepeats(
    listeners.map(({ name, path }) => ({ text: name, path: [...path, 'name'] })),
    'a name of its own',
    context,
  )
  refuseRepeats(
    [{ listen: admin.listen, path: ['admin'] }, ...listeners]
      .filter(({ listen }) => listen.port !== 0)
      .map(({ listen, path }) => ({ text: formatAddress(listen), path: [...path, 'listen'] })),
    'an address of its own',
    context,
  )
}

function refuseRepeats(
  entries: readonly { readonly text: string; readonly path: FieldPath }[],
  expected: string,
  context: z.RefinementCtx,
): void {
  const seen = new Set<string>()
  for (const { text, path } of entries) {
    if (seen.has(text))
      context.addIssue({
        code: 'custom',
        path: [...path],
        message: expected,
        params: { got: `${text}, which is taken` },
      })
    seen.add(text)
  }
}

function complete(raw: z.output<typeof spec>, context: z.RefinementCtx): ProxyConfig {
  const { handshakeTimeout, drainTimeout, trustDomain: named, ...rest } = raw
  const { address: one, addresses = one === undefined ? [] : [one], ...controller } = raw.controller
  const expectedId = controller.spiffeId
  const domain = named ?? (expectedId === undefined ? undefined : trustDomainOf(expectedId))
  if (domain === undefined) {
    context.addIssue({
      code: 'custom',
      path: ['trustDomain'],
      message: 'a trust domain, here or in spec.controller.spiffeId',
    })
    return z.NEVER
  }
  if (expectedId !== undefined && trustDomainOf(expectedId) !== domain) {
    context.addIssue({
      code: 'custom',
      path: ['controller', 'spiffeId'],
      message: `a SPIFFE ID of the trust domain ${domain}`,
    })
    return z.NEVER
  }
  return {
    ...rest,
    trustDomain: domain,
    controller: { ...controller, addresses, spiffeId: expectedId ?? controllerId(domain) },
    handshakeTimeoutMs: handshakeTimeout,
    drainTimeoutMs: drainTimeout,
  }
}

/** The SPIFFE ID that a controller has unless it is told another. */
export function controllerId(trustDomain: string): string {
  return `spiffe://${trustDomain}/ns/handfast-system/sa/controller`
}
