import { parseIpAddress } from '../pki/host-name.ts'

/** A block of IP addresses. */
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

/** What is wrong with the text of a block, as a noun phrase that says what was expected; undefined when nothing is. */
export function expectedIpBlock(text: string): string | undefined {
  const block = parseIpBlock(text)
  if (block === undefined) return 'an IP address or a block of them such as 10.1.0.0/16 or fd00::/8'
  const { network, prefixBits } = block
  const hasHostBits = network.some((byte, index) => (byte & ~maskByte(prefixBits, index) & 0xff) !== 0)
  return hasHostBits ? `a block whose last ${network.length * 8 - prefixBits} bits are zero` : undefined
}

/** Matches addresses that lie in any of the blocks, which are good ones. */
export function ipBlockMatcher(texts: readonly string[]): (address: Uint8Array) => boolean {
  const blocks = texts.map((text) => parseIpBlock(text)!)
  return (address) => blocks.some((block) => contains(block, address))
}

function contains({ network, prefixBits }: IpBlock, address: Uint8Array): boolean {
  if (network.length !== address.length) return false
  for (let index = 0; index * 8 < prefixBits; index++) {
    const mask = maskByte(prefixBits, index)
    if ((address[index]! & mask) !== (network[index]! & mask)) return false
  }
  return true
}

/** The bits of a block's prefix that lie in the byte. */
function maskByte(prefixBits: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefixBits - index * 8))
  return 0xff & (0xff << (8 - bits))
}

function parseIpBlock(text: string): IpBlock | undefined {
  const slash = text.indexOf('/')
  const network = parseIpAddress(slash < 0 ? text : text.slice(0, slash))
  if (network === undefined) return undefined
  const prefixBits = slash < 0 ? network.length * 8 : Number(text.slice(slash + 1))
  return prefixBits <= network.length * 8 ? { network, prefixBits } : undefined
}
