import { covers, type Cidr } from '../config/cidr.ts'
import { MAX_PORT, type PortRange } from '../config/ports.ts'
import { PASS_THROUGH_SOURCE, SIDECAR_PORTS, type CapturePlan, type CaptureScope } from './plan.ts'

/** What of a packet a rule looks at; a rule means packets that all of its matches mean. */
export type Match =
  | { readonly kind: 'ports'; readonly ports: readonly PortRange[] }
  /** CIDRs mean packets of their own family only. */
  | { readonly kind: 'source' | 'destination'; readonly cidrs: readonly Cidr[] }
  | { readonly kind: 'uid' | 'gid'; readonly id: number }
  | { readonly kind: 'to-loopback' }

/** What happens to a packet: it goes on as it is, goes to a port of this host, or is judged as inbound traffic is. */
export type Verdict =
  | { readonly kind: 'leave' }
  | { readonly kind: 'redirect'; readonly port: number }
  | { readonly kind: 'as-inbound' }

/** One rule about the first packet of TCP connections. */
export interface Rule {
  readonly comment: string
  readonly matches: readonly Match[]
  readonly verdict: Verdict
}

/** The rules of a host, in the order in which they are asked; what no rule means goes on as it is. */
export interface CaptureRules {
  /** Asked about what comes from elsewhere, and about what the proxy sends to this host. */
  readonly inbound: readonly Rule[]
  /** Asked about what this host sends. */
  readonly outbound: readonly Rule[]
}

/** Name lookups by TCP go where those by UDP go. */
export const DNS_PORT = 53

const LEAVE: Verdict = { kind: 'leave' }
const TO_LOOPBACK: Match = { kind: 'to-loopback' }
const LOOPBACK: readonly Cidr[] = [
  { family: 'ipv4', host: '127.0.0.0', prefix: 8 },
  { family: 'ipv6', host: '::1', prefix: 128 },
]

/** The rules for both address families that carry out a plan: every rendering of them comes from here. */
export function captureRules(plan: CapturePlan): CaptureRules {
  return { inbound: inboundRules(plan), outbound: outboundRules(plan) }
}

/** Ports at which others reach the proxy itself, and not the application. */
export function ownPorts({ adminPort }: Pick<CapturePlan, 'adminPort'>): readonly number[] {
  const { metrics, health, hbone } = SIDECAR_PORTS
  return [adminPort, hbone, metrics, health]
}

function inboundRules(plan: CapturePlan): readonly Rule[] {
  const { inbound, inboundPort } = plan
  return [
    leave("the proxy's own ports", portsOf(ownPorts(plan))),
    ...excluded(inbound, 'source'),
    ...included(inbound, 'source', { port: inboundPort, comment: 'to the inbound listener' }),
  ]
}

function outboundRules({ proxyUid, proxyGid, outbound, outboundPort }: CapturePlan): readonly Rule[] {
  const isProxy: readonly (readonly [string, Match])[] = [
    ['user', { kind: 'uid', id: proxyUid }],
    ['group', { kind: 'gid', id: proxyGid }],
  ]
  return [
    leave('from the proxy to the application: was captured already', TO_LOOPBACK, {
      kind: 'source',
      cidrs: [cidr('ipv4', PASS_THROUGH_SOURCE.ipv4), cidr('ipv6', PASS_THROUGH_SOURCE.ipv6)],
    }),
    leave('within this host by loopback addresses', TO_LOOPBACK, { kind: 'destination', cidrs: LOOPBACK }),
    // The application calls its own service: the proxy has found that the service is here.
    ...isProxy.map(([who, match]): Rule => {
      return {
        comment: `the proxy's ${who} to this host: a call of the application to itself`,
        matches: [TO_LOOPBACK, match],
        verdict: { kind: 'as-inbound' },
      }
    }),
    ...isProxy.map(([who, match]) => leave(`the proxy's ${who}`, match)),
    leave('within this host', TO_LOOPBACK),
    leave('name lookups', portsOf([DNS_PORT])),
    ...excluded(outbound, 'destination'),
    ...included(outbound, 'destination', { port: outboundPort, comment: 'to the outbound listener' }),
  ]
}

function leave(comment: string, ...matches: readonly Match[]): Rule {
  return { comment, matches, verdict: LEAVE }
}

function excluded(scope: CaptureScope, farEnd: 'source' | 'destination'): readonly Rule[] {
  const rules: Rule[] = []
  if (scope.excludePorts.length > 0)
    rules.push(leave('excluded ports', { kind: 'ports', ports: merged(scope.excludePorts) }))
  if (scope.excludeCidrs.length > 0)
    rules.push(leave(`excluded ${farEnd}s`, { kind: farEnd, cidrs: widest(scope.excludeCidrs) }))
  return rules
}

/** No rule where a list of what is included is empty. */
function included(
  { includePorts, includeCidrs }: CaptureScope,
  farEnd: 'source' | 'destination',
  { port, comment }: { readonly port: number; readonly comment: string },
): readonly Rule[] {
  if (includePorts?.length === 0 || includeCidrs?.length === 0) return []
  const matches: Match[] = []
  if (includePorts !== undefined) matches.push({ kind: 'ports', ports: merged(includePorts) })
  if (includeCidrs !== undefined) matches.push({ kind: farEnd, cidrs: widest(includeCidrs) })
  return [{ comment, matches, verdict: { kind: 'redirect', port } }]
}

function portsOf(ports: readonly number[]): Match {
  return { kind: 'ports', ports: merged(ports.map((port) => ({ first: port, last: port }))) }
}

function cidr(family: Cidr['family'], host: string): Cidr {
  return { family, host, prefix: family === 'ipv4' ? 32 : 128 }
}

/** In order and apart: nftables takes no list in which two entries overlap. */
function merged(ranges: readonly PortRange[]): readonly PortRange[] {
  const result: PortRange[] = []
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    const before = result.at(-1)
    if (before === undefined || range.first > Math.min(before.last + 1, MAX_PORT)) result.push(range)
    else result[result.length - 1] = { first: before.first, last: Math.max(before.last, range.last) }
  }
  return result
}

/** Without those that lie within another, for the same reason. */
function widest(cidrs: readonly Cidr[]): readonly Cidr[] {
  return cidrs.filter(
    (inner, index) =>
      !cidrs.some(
        (outer, other) => other !== index && covers(outer, inner) && (!covers(inner, outer) || other < index),
      ),
  )
}
