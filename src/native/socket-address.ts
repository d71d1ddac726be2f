import type { Address } from '../config/address.ts'

/** The families of internet addresses (sys/socket.h). */
export const Family = { ipv4: 2, ipv6: 10 } as const
export type Family = (typeof Family)[keyof typeof Family]

const IPV4_BYTES = 16
const IPV6_BYTES = 28

/** Room for either family. */
export const MAX_SOCKET_ADDRESS_BYTES: number = IPV6_BYTES

/** A `sockaddr_in` or `sockaddr_in6`, both on a little-endian machine. @throws RangeError for a host that is no IP address */
export function encodeSocketAddress({ host, port }: Address): Uint8Array {
  const isV6 = host.includes(':')
  const bytes = new Uint8Array(isV6 ? IPV6_BYTES : IPV4_BYTES)
  bytes[0] = isV6 ? Family.ipv6 : Family.ipv4
  bytes[2] = port >>> 8
  bytes[3] = port
  if (isV6) bytes.set(ipv6Bytes(host), 8)
  else bytes.set(ipv4Bytes(host), 4)
  return bytes
}

/**
 * Reads what the kernel wrote. An IPv4 address in IPv6 clothes (::ffff:a.b.c.d), as a dual-stack socket has, is read as IPv4.
 *
 * @param length how much of `bytes` the kernel filled
 * @returns undefined for an address of another family
 */
export function decodeSocketAddress(bytes: Uint8Array, length: number): Address | undefined {
  const family = bytes[0]! | (bytes[1]! << 8)
  const port = (bytes[2]! << 8) | bytes[3]!
  if (family === Family.ipv4 && length >= IPV4_BYTES) return { host: ipv4Text(bytes, 4), port }
  if (family !== Family.ipv6 || length < IPV6_BYTES) return undefined
  return { host: isMapped(bytes) ? ipv4Text(bytes, 20) : ipv6Text(bytes.subarray(8, 24)), port }
}

function ipv4Bytes(text: string): Uint8Array {
  const parts = text.split('.')
  const bytes = Uint8Array.from(parts, Number)
  if (parts.length !== 4 || parts.some((part, i) => String(bytes[i]) !== part)) throw notAnAddress(text)
  return bytes
}

function ipv6Bytes(text: string): Uint8Array {
  // One spelling, without an IPv4 tail.
  const canonical = URL.parse(`http://[${text}]/`)?.hostname.slice(1, -1)
  if (canonical === undefined) throw notAnAddress(text)
  const [head = '', tail] = canonical.split('::')
  const before = groups(head)
  const after = groups(tail ?? '')
  const bytes = new Uint8Array(16)
  before.forEach((group, i) => writeGroup(bytes, i, group))
  after.forEach((group, i) => writeGroup(bytes, 8 - after.length + i, group))
  return bytes
}

function groups(text: string): readonly number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
}

function writeGroup(bytes: Uint8Array, index: number, group: number): void {
  bytes[2 * index] = group >>> 8
  bytes[2 * index + 1] = group
}

function ipv4Text(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`
}

function ipv6Text(bytes: Uint8Array): string {
  const full = Array.from({ length: 8 }, (_, i) =>
    ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16),
  ).join(':')
  return new URL(`http://[${full}]/`).hostname.slice(1, -1)
}

/** ::ffff:0:0/96, in a `sockaddr_in6`. */
function isMapped(bytes: Uint8Array): boolean {
  for (let i = 8; i < 18; i++) if (bytes[i] !== 0) return false
  return bytes[18] === 0xff && bytes[19] === 0xff
}

function notAnAddress(text: string): RangeError {
  return new RangeError(`"${text}" is no IP address`)
}
