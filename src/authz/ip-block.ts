import { parseCidr } from '../config/cidr.ts'
import { parseIpAddress } from '../pki/host-name.ts'

/** A block of IP addresses as bytes, which are compared faster than its text. */
interface IpBlock {
  readonly network: Uint8Array
  readonly prefixBits: number
}

/** `::ffff:0:0/96`: IPv4 as sockets for both families show it (RFC 4291 §2.5.5.2). */
const IPV4_MAPPED = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff)

/** The bytes of an address, those of IPv4 also when it is mapped into IPv6; undefined for anything else. */
export function parseSourceIp(text: string): Uint8Array | undefined {
  const bytes = parseIpAddress(text)
  if (bytes?.length !== 16) return bytes
  return IPV4_MAPPED.every((byte, index) => bytes[index] === byte) ? bytes.subarray(12) : bytes
}

/** Matches addresses that lie in any of the blocks, which are good ones. */
export function ipBlockMatcher(texts: readonly string[]): (address: Uint8Array) => boolean {
  const blocks = texts.map((text): IpBlock => {
    const { host, prefix } = parseCidr(text)!
    return { network: parseIpAddress(host)!, prefixBits: prefix }
  })
  return (address) => blocks.some((block) => contains(block, address))
}

function contains({ network, prefixBits }: IpBlock, address: Uint8Array): boolean {
  if (network.length !== address.length) return false
  for (let index = 0; index * 8 < prefixBits; index++) {
    const bits = Math.min(8, prefixBits - index * 8)
    if ((address[index]! ^ network[index]!) >> (8 - bits) !== 0) return false
  }
  return true
}
