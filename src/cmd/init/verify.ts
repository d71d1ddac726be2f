import { networkInterfaces } from 'node:os'
import { PASS_THROUGH_SOURCE, type CapturePlan } from '../../capture/plan.ts'
import { inboundProbe, outboundProbe } from '../../capture/probes.ts'
import { formatAddress, type Address } from '../../config/address.ts'
import type { Cidr } from '../../config/cidr.ts'
import type { Transport } from '../../net/transport.ts'
import { CaptureError } from '../errors.ts'
import { actAs, type Owner } from './act-as.ts'
import { Checkpoint, type Outcome, type Post } from './checkpoint.ts'
import type { PacketFilter } from './packet-filter.ts'
import { hasIpv6 } from './pass-through-source.ts'

/** One thing that was tried, and how it went. */
export interface Finding {
  readonly verdict: 'ok' | 'failed' | 'skipped'
  /** What should be so. */
  readonly claim: string
  /** What was seen. */
  readonly detail: string
}

/** Who sends in one of the trials, and where that should lead. */
interface Trial {
  readonly claim: string
  readonly to: Address
  /** @default the application */
  readonly as?: Owner
  readonly from?: string
  readonly expected: Post | 'out'
}

const FAMILIES = {
  ipv4: { name: 'IPv4', loopback: '127.0.0.1' },
  ipv6: { name: 'IPv6', loopback: '::1' },
} as const

/**
 * Proves with real connections that the rules in force do what a plan says: takes the place of proxy and application, connects as either of
 * them, and sees which way each connection goes.
 *
 * @throws CaptureError CAPTURE_PROXY_RUNS, CAPTURE_NOT_PERMITTED, CAPTURE_NOT_WORKING where there is no network to prove it with
 */
export async function verifyCapture(
  plan: CapturePlan,
  { transport, filter }: { readonly transport: Transport; readonly filter: PacketFilter },
): Promise<readonly Finding[]> {
  const { outboundPort, inboundPort, proxyUid, proxyGid } = plan
  if (process.geteuid!() === proxyUid || process.getegid!() === proxyGid)
    throw new CaptureError(
      'CAPTURE_NOT_PERMITTED',
      `Runs as the proxy (user ${proxyUid}, group ${proxyGid}), whose traffic is not captured: expected to run as root`,
    )
  if (ownAddresses('ipv4').length + ownAddresses('ipv6').length === 0)
    throw new CaptureError(
      'CAPTURE_NOT_WORKING',
      'Nothing can be proven: expected an address that others can reach, got loopback addresses alone',
    )
  const ipv6 = await hasIpv6()
  await using checkpoint = await Checkpoint.open(transport, {
    host: ipv6 ? '::' : '0.0.0.0',
    ports: { outbound: outboundPort, inbound: inboundPort },
  })
  const findings: Finding[] = [hooked(await filter.isHooked())]
  for (const family of ipv6 ? (['ipv4', 'ipv6'] as const) : (['ipv4'] as const))
    findings.push(...(await verifyFamily(plan, family, checkpoint)))
  return findings
}

function hooked(isHooked: boolean): Finding {
  return {
    verdict: isHooked ? 'ok' : 'failed',
    claim: 'The packet filter asks our rules about what arrives and what is sent',
    detail: isHooked
      ? 'they are in force'
      : 'they are not: handfast init, with the same --backend, was not run',
  }
}

async function verifyFamily(
  plan: CapturePlan,
  family: Cidr['family'],
  checkpoint: Checkpoint,
): Promise<readonly Finding[]> {
  const { name, loopback } = FAMILIES[family]
  const proxy = { uid: plan.proxyUid, gid: plan.proxyGid }
  const own = ownAddresses(family)
  const outbound = outboundProbe(plan, family)
  const inbound = inboundProbe(plan, own)
  const port = checkpoint.applicationPort
  const findings: Finding[] = []
  const attempt = async (trial: Trial): Promise<void> => {
    findings.push(await finding({ ...trial, claim: `${name}: ${trial.claim}` }, checkpoint))
  }
  const skip = (claim: string, detail: string): void => {
    findings.push({ verdict: 'skipped', claim: `${name}: ${claim}`, detail })
  }

  const captured = 'what the application sends is captured'
  if (outbound === undefined) skip(captured, 'the options include nothing of it')
  else {
    await attempt({ claim: captured, to: outbound, expected: 'outbound' })
    await attempt({ claim: 'what the proxy sends is not', to: outbound, as: proxy, expected: 'out' })
  }
  const looped = 'what the proxy sends to this host is captured as if it arrived'
  if (own.length === 0) skip(looped, 'this host has no address that others could reach')
  else if (inbound === undefined) skip(looped, 'the options include nothing of it')
  else await attempt({ claim: looped, to: inbound, as: proxy, expected: 'inbound' })
  if (own[0] !== undefined)
    await attempt({
      claim: 'what the proxy passes on to the application is not captured again',
      to: { host: own[0], port },
      as: proxy,
      from: PASS_THROUGH_SOURCE[family],
      expected: 'application',
    })
  await attempt({
    claim: 'what stays within this host is not captured',
    to: { host: loopback, port },
    expected: 'application',
  })
  return findings
}

async function finding({ claim, to, as, from, expected }: Trial, checkpoint: Checkpoint): Promise<Finding> {
  const connect = (): Promise<Outcome> => checkpoint.connect(to, from)
  const outcome = as === undefined ? await connect() : await actAs(as, connect)
  const detail = describe(outcome, to)
  if (expected === 'outbound' && hasNoRoute(outcome)) return { verdict: 'skipped', claim, detail }
  return { verdict: isExpected(outcome, expected, to) ? 'ok' : 'failed', claim, detail }
}

/** Then nothing can be sent past the proxy. A host that does not answer (EHOSTUNREACH) is another thing: the packet had left. */
function hasNoRoute(outcome: Outcome): boolean {
  const cause = outcome.kind === 'failed' ? outcome.error.cause : undefined
  return cause instanceof Error && 'code' in cause && cause.code === 'ENETUNREACH'
}

function isExpected(outcome: Outcome, expected: Trial['expected'], to: Address): boolean {
  if (expected === 'out') return outcome.kind !== 'arrived'
  if (outcome.kind !== 'arrived' || outcome.post !== expected) return false
  return (
    expected === 'application' ||
    (outcome.original !== undefined && formatAddress(outcome.original) === formatAddress(to))
  )
}

function describe(outcome: Outcome, to: Address): string {
  const target = formatAddress(to)
  switch (outcome.kind) {
    case 'arrived': {
      const original = outcome.original === undefined ? 'unknown' : formatAddress(outcome.original)
      return outcome.post === 'application'
        ? `${target} led to the application's place`
        : `${target} led to the ${outcome.post} listener's place, original destination ${original}`
    }
    case 'elsewhere':
      return `${target} led out of this host`
    case 'failed':
      return outcome.error.message
  }
}

/** By which others can reach this host. */
function ownAddresses(family: Cidr['family']): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((entry) => !entry.internal && entry.family === FAMILIES[family].name)
    .filter(({ scopeid }) => scopeid === undefined || scopeid === 0)
    .map(({ address }) => address)
}
