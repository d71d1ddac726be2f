import { isIpAddress, parseAddress } from './address.ts'

/** Addresses that begin alike. */
export interface Cidr {
  readonly family: 'ipv4' | 'ipv6'
  /** The first address, as {@link parseAddress} spells it. */
  readonly host: string
  /** How many leading bits they have in common: 0 to 32, or to 128. */
  readonly prefix: number
}

const BITS = { ipv4: 32, ipv6: 128 } as const

/** IPv4 in IPv6 clothes: no packet and no connection is ever seen to have such an address, so it would match nothing. */
const MAPPED = 0xffffn

/**
 * Reads `10.0.0.0/8`, `fd00::/8`, or one address without a prefix.
 *
 * @returns undefined for anything else, and where bits beyond the prefix are set: who writes 10.0.0.1/8 may mean either
 */
export function parseCidr(text: string): Cidr | undefined {
  const [, host, digits] = /^([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? []
  const address = host && parseAddress(host.includes(':') ? `[${host}]:0` : `${host}:0`)
  if (!address || !isIpAddress(address)) return undefined
  const family = familyOf(address.host)
  const bits = BITS[family]
  const prefix = digits === undefined ? bits : Number(digits)
  if (prefix > bits) return undefined
  const number = numberOf(address.host)
  if (number & ((1n << BigInt(bits - prefix)) - 1n)) return undefined
  if (family === 'ipv6' && number >> 32n === MAPPED) return undefined
  return { family, host: address.host, prefix }
}

/** Writes it the way {@link parseCidr} reads it, one address without its prefix. */
export function formatCidr({ family, host, prefix }: Cidr): string {
  return prefix === BITS[family] ? host : `${host}/${prefix}`
}

/** Whether every address of `inner` is one of `outer`. */
export function covers(outer: Cidr, inner: Cidr): boolean {
  if (outer.family !== inner.family || outer.prefix > inner.prefix) return false
  return leadingBits(outer.host, outer.prefix) === leadingBits(inner.host, outer.prefix)
}

/** So many leading bits of an IP address, as a number. */
export function leadingBits(host: string, count: number): bigint {
  return numberOf(host) >> BigInt(BITS[familyOf(host)] - count)
}

/** One address as the smallest of CIDRs. @param host an IP address as {@link parseAddress} spells it */
export function cidrOf(host: string): Cidr {
  const family = familyOf(host)
  return { family, host, prefix: BITS[family] }
}

/** The address after the first, which commonly stands for the network itself; of a single address that one. */
export function firstHost({ family, host, prefix }: Cidr): string {
  if (prefix === BITS[family]) return host
  return family === 'ipv4'
    ? host.replace(/\d+$/, (last) => String(Number(last) + 1))
    : textOf(numberOf(host) + 1n)
}

function familyOf(host: string): Cidr['family'] {
  return host.includes(':') ? 'ipv6' : 'ipv4'
}

function numberOf(host: string): bigint {
  if (!host.includes(':')) return host.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n)
  const [head = '', tail = ''] = host.split('::')
  const before = groups(head)
  const after = groups(tail)
  const middle = Array.from({ length: 8 - before.length - after.length }, () => 0n)
  return [...before, ...middle, ...after].reduce((sum, group) => (sum << 16n) | group, 0n)
}

function groups(text: string): readonly bigint[] {
  return text === '' ? [] : text.split(':').map((group) => BigInt(`0x${group}`))
}

function textOf(number: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((number >> BigInt(112 - 16 * i)) & 0xffffn).toString(16),
  )
  return parseAddress(`[${groups.join(':')}]:0`)!.host
}
