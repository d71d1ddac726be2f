import type { Cidr } from '../config/cidr.ts'
import type { PortRange } from '../config/ports.ts'

/** Ports that a proxy beside a workload has, as the field's convention has them (docs/architecture.md). */
export const SIDECAR_PORTS = {
  outbound: 15_001,
  inbound: 15_006,
  admin: 15_000,
  hbone: 15_008,
  metrics: 15_020,
  health: 15_021,
} as const

/** User and group of the proxy in the field's convention. */
const PROXY_UID = 1337

/** What inbound traffic has as its source on its last step, from proxy to application: a sign that it was captured already. */
export const PASS_THROUGH_SOURCE = { ipv4: '127.0.0.6', ipv6: '::6' } as const

/** Which traffic of one direction is captured: what is included and not excluded. */
export interface CaptureScope {
  /** Of the destination. @default every port */
  readonly includePorts?: readonly PortRange[]
  readonly excludePorts: readonly PortRange[]
  /** Of the far end: the destination of outbound traffic, the source of inbound traffic. @default everyone */
  readonly includeCidrs?: readonly Cidr[]
  readonly excludeCidrs: readonly Cidr[]
}

/** What the packet filter of a workload is to do. */
export interface CapturePlan {
  /** Whose traffic is left alone, because it is the proxy's. */
  readonly proxyUid: number
  readonly proxyGid: number
  /** Where the proxy takes captured traffic. */
  readonly outboundPort: number
  readonly inboundPort: number
  readonly adminPort: number
  readonly outbound: CaptureScope
  readonly inbound: CaptureScope
}

/** Captures everything for a proxy that keeps to the convention. */
export const DEFAULT_PLAN: CapturePlan = {
  proxyUid: PROXY_UID,
  proxyGid: PROXY_UID,
  outboundPort: SIDECAR_PORTS.outbound,
  inboundPort: SIDECAR_PORTS.inbound,
  adminPort: SIDECAR_PORTS.admin,
  outbound: { excludePorts: [], excludeCidrs: [] },
  inbound: { excludePorts: [], excludeCidrs: [] },
}
