import * as z from 'zod'
import type { Address } from './address.ts'
import { covers, formatCidr, parseCidr, type Cidr } from './cidr.ts'
import { address, listenAddress, mapping, parsed, port, spiffeId } from './fields.ts'

/** Destinations by address: some network, and ports of it. */
export interface DestinationRange {
  readonly to: Cidr
  /** @default every port */
  readonly ports?: readonly number[] | undefined
}

/** Destinations that a workload of the mesh answers at. */
export interface MeshedDestination extends DestinationRange {
  /** The SPIFFE ID that whoever answers must prove. */
  readonly peer: string
  /** Where the workload is, if `to` only stands for it. @default the destination itself */
  readonly connect?: Address | undefined
}

/** What becomes of a destination that nothing is known of: it is let through, or refused. */
export type OutboundPolicy = 'ALLOW_ANY' | 'REGISTRY_ONLY'

/** How a proxy takes connections that the packet filter leads to it (docs/capture.md). */
export interface CaptureConfig {
  readonly outbound: { readonly listen: Address }
  readonly inbound: { readonly listen: Address }
  readonly outboundPolicy: OutboundPolicy
  readonly peers: readonly MeshedDestination[]
  /** What is let through untouched under `REGISTRY_ONLY`, too. */
  readonly external: readonly DestinationRange[]
}

/** Names of the listeners that capture has, beside those of the configuration. */
export const CAPTURE_LISTENERS = { outbound: 'captured-outbound', inbound: 'captured-inbound' } as const

const range = {
  to: parsed('an IP address or a CIDR without host bits such as 10.0.0.0/8', parseCidr),
  ports: z.array(port, { error: 'a list of ports' }).min(1, { error: 'at least one port' }).optional(),
}

/** The section `spec.capture` of a proxy.yaml. */
export const captureSection: z.ZodType<CaptureConfig> = mapping({
  outbound: mapping({ listen: listenAddress.prefault('[::]:15001') }).prefault({}),
  inbound: mapping({ listen: listenAddress.prefault('[::]:15006') }).prefault({}),
  outboundPolicy: z.enum(['ALLOW_ANY', 'REGISTRY_ONLY']).default('ALLOW_ANY'),
  peers: z
    .array(mapping({ ...range, peer: spiffeId, connect: address.optional() }), {
      error: 'a list of destinations in the mesh',
    })
    .prefault([]),
  external: z.array(mapping(range), { error: 'a list of destinations outside the mesh' }).prefault([]),
}).superRefine(checkPeers)

/** Two entries about the same addresses and ports would leave open which identity is demanded. */
function checkPeers({ peers }: Pick<CaptureConfig, 'peers'>, context: z.RefinementCtx): void {
  peers.forEach((entry, index) => {
    const rival = peers.slice(0, index).find((other) => areRivals(entry, other))
    if (rival === undefined) return
    context.addIssue({
      code: 'custom',
      path: ['peers', index, 'to'],
      message: 'destinations that no other entry names as exactly',
      params: { got: `${formatCidr(entry.to)}, which is taken` },
    })
  })
}

function areRivals(one: DestinationRange, other: DestinationRange): boolean {
  if (!covers(one.to, other.to) || !covers(other.to, one.to)) return false
  if (one.ports === undefined || other.ports === undefined) return one.ports === other.ports
  const { ports } = other
  return one.ports.some((each) => ports.includes(each))
}
