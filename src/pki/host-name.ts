/** The syntax of DNS names and IP addresses, and how a certificate's names match the one asked for (RFC 9525). */

/** RFC 1035 §2.3.4 */
const MAX_NAME_CHARACTERS = 253

/** RFC 1123 §2.1; at most 63 characters (RFC 1035 §2.3.4). */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * A host name in the one form that is compared: lower case, without a final dot. Undefined for what is not a
 * name in preferred syntax (RFC 1034 §3.5): empty labels, underscores, addresses, anything outside ASCII.
 */
export function canonicalDnsName(text: string): string | undefined {
  const name = text.toLowerCase().replace(/\.$/, '')
  if (name.length > MAX_NAME_CHARACTERS) return undefined
  const labels = name.split('.')
  // No top-level domain is a number, and every address in dotted form ends in one.
  if (!labels.every((label) => LABEL.test(label)) || /^\d+$/.test(labels.at(-1)!)) return undefined
  return name
}

/**
 * Whether a dNSName of a certificate covers `name`, which is canonical. A wildcard stands for exactly one whole
 * label, the first, and at least two labels follow it (RFC 9525 §6.3; the last rule spares us `*.com`).
 */
export function dnsNameCovers(presented: string, name: string): boolean {
  if (!presented.startsWith('*.')) return canonicalPresented(presented) === name
  const parent = canonicalPresented(presented.slice(2))
  if (parent === undefined || !parent.includes('.')) return false
  const dot = name.indexOf('.')
  return dot > 0 && name.slice(dot + 1) === parent
}

/** The bytes of an IPv4 or IPv6 address, with or without brackets; undefined for anything else. */
export function parseIpAddress(text: string): Uint8Array | undefined {
  if (!text.includes(':')) return parseIpv4(text)
  return parseIpv6(text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text)
}

/** An address as text: dotted decimal, or hexadecimal groups with the longest run of zeros elided (RFC 5952). */
export function ipAddressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: bytes.length / 2 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!)
  const text = groups.map((group) => group.toString(16)).join(':')
  const runs = text.match(/(?:^|:)0(?::0)+(?=:|$)/g) ?? []
  const longest = runs.reduce(
    (best, run) => (run.replace(/^:/, '').length > best.replace(/^:/, '').length ? run : best),
    '',
  )
  if (longest === '') return text
  const at = text.indexOf(longest)
  return `${text.slice(0, at)}::${text.slice(at + longest.length).replace(/^:/, '')}`
}

/** A certificate's names have no final dot (RFC 5280 §4.2.1.6). */
function canonicalPresented(presented: string): string | undefined {
  return presented.endsWith('.') ? undefined : canonicalDnsName(presented)
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  const valid = parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
  return valid ? Uint8Array.from(parts, Number) : undefined
}

/** RFC 4291 §2.2, without zones. */
function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = ipv6Groups(halves[0]!)
  const tail = halves[1] === undefined ? [] : ipv6Groups(halves[1])
  if (head === undefined || tail === undefined) return undefined
  const elided = 8 - head.length - tail.length
  if (halves.length === 2 ? elided < 1 : elided !== 0) return undefined
  const groups = [...head, ...Array.from({ length: elided }, () => 0), ...tail]
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]))
}

/** The groups of one side of `::`; the last may be an IPv4 address. */
function ipv6Groups(text: string): number[] | undefined {
  if (text === '') return []
  const parts = text.split(':')
  const ipv4 = parts.at(-1)!.includes('.') ? parseIpv4(parts.pop()!) : new Uint8Array()
  if (ipv4 === undefined || !parts.every((part) => /^[0-9a-fA-F]{1,4}$/.test(part))) return undefined
  const groups = parts.map((part) => Number.parseInt(part, 16))
  return ipv4.length === 0 ? groups : [...groups, (ipv4[0]! << 8) | ipv4[1]!, (ipv4[2]! << 8) | ipv4[3]!]
}
