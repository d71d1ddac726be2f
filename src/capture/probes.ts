import type { Address } from '../config/address.ts'
import { cidrOf, covers, firstHost, type Cidr } from '../config/cidr.ts'
import { MAX_PORT, type PortRange } from '../config/ports.ts'
import type { CapturePlan, CaptureScope } from './plan.ts'
import { DNS_PORT, ownPorts } from './rules.ts'

/** Addresses that nobody has (RFC 5737 §3, RFC 3849 §2): whoever connects to them was captured, or waits in vain. */
const NOBODY = { ipv4: '192.0.2.6', ipv6: '2001:db8::6' } as const

/** What everyone uses, where it is captured. */
const USUAL_PORT = 80

/** A destination that a plan captures when an application connects to it; undefined where it captures none of the family. */
export function outboundProbe({ outbound }: CapturePlan, family: Cidr['family']): Address | undefined {
  const networks = (outbound.includeCidrs ?? []).filter((cidr) => cidr.family === family)
  const host = [NOBODY[family], ...networks.map(firstHost)].find((candidate) =>
    isInScope(outbound, candidate),
  )
  const port = capturedPort(outbound, [DNS_PORT])
  return host === undefined || port === undefined ? undefined : { host, port }
}

/** A destination that a plan captures when it arrives for one of the host's own addresses, from there; undefined where there is none. */
export function inboundProbe(plan: CapturePlan, own: readonly string[]): Address | undefined {
  const host = own.find((candidate) => isInScope(plan.inbound, candidate))
  const port = capturedPort(plan.inbound, [...ownPorts(plan), plan.inboundPort, plan.outboundPort])
  return host === undefined || port === undefined ? undefined : { host, port }
}

function isInScope({ includeCidrs, excludeCidrs }: CaptureScope, host: string): boolean {
  const covering = (outer: Cidr): boolean => covers(outer, cidrOf(host))
  return (includeCidrs?.some(covering) ?? true) && !excludeCidrs.some(covering)
}

/** The least port of what is left is where something included begins, or right behind something excluded. */
function capturedPort(
  { includePorts, excludePorts }: CaptureScope,
  never: readonly number[],
): number | undefined {
  const within = (port: number, ranges: readonly PortRange[]): boolean =>
    ranges.some(({ first, last }) => first <= port && port <= last)
  const candidates = [
    USUAL_PORT,
    1,
    ...(includePorts ?? []).map(({ first }) => first),
    ...excludePorts.map(({ last }) => last + 1),
    ...never.map((port) => port + 1),
  ]
  return candidates.find(
    (port) =>
      port <= MAX_PORT &&
      !never.includes(port) &&
      (includePorts === undefined || within(port, includePorts)) &&
      !within(port, excludePorts),
  )
}
