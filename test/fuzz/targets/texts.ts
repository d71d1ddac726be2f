import { equalBytes, utf8 } from '../../../src/bytes/bytes.ts'
import { formatAddress, parseAddress } from '../../../src/config/address.ts'
import { formatDuration, parseDuration } from '../../../src/config/duration.ts'
import { formatPortRange, parsePortRange } from '../../../src/config/ports.ts'
import { canonicalDnsName, dnsNameCovers, ipAddressText, parseIpAddress } from '../../../src/pki/host-name.ts'
import { magnitude, Violation, type FuzzTarget } from '../target.ts'

/** Small texts that mean something: each has one meaning, and says the same when it is written again. */
export function textTargets(): readonly FuzzTarget[] {
  return [ADDRESS, PORT_RANGE, DURATION, IP_ADDRESS, DNS_NAME]
}

const ADDRESS: FuzzTarget = textTarget(
  'address',
  [
    '127.0.0.1:8080',
    '[::1]:443',
    'Catalog.example.org:65535',
    '[2001:db8::7:0:0:1]:0',
    '[::ffff:10.0.0.1]:1',
  ],
  (text) => {
    const address = parseAddress(text)
    if (address === undefined) return 'none'
    const again = formatAddress(address)
    const { host, port } = parseAddress(again) ?? {}
    if (host !== address.host || port !== address.port)
      throw new Violation(`It is written as ${again}, which is another address`)
    return `address: ${again === text} ${address.host.includes(':')}`
  },
)

const PORT_RANGE: FuzzTarget = textTarget('port-range', ['80', '8000-8100', '1-65535', '7-7'], (text) => {
  const range = parsePortRange(text)
  if (range === undefined) return 'none'
  const again = formatPortRange(range)
  const { first, last } = parsePortRange(again) ?? {}
  if (first !== range.first || last !== range.last || !(range.first <= range.last))
    throw new Violation(`It is written as ${again}, which is another range`)
  return `range: ${again === text} ${range.first === range.last}`
})

const DURATION: FuzzTarget = textTarget('duration', ['1h30m', '500ms', '7d', '0s', '1d2h3m4s5ms'], (text) => {
  const milliseconds = parseDuration(text)
  if (milliseconds === undefined) return 'none'
  const again = formatDuration(milliseconds)
  if (parseDuration(again) !== milliseconds)
    throw new Violation(`${milliseconds} ms are written as ${again}, which is another duration`)
  return `duration: ${again === text} ${magnitude(again.length)}`
})

const IP_ADDRESS: FuzzTarget = textTarget(
  'ip-address',
  ['127.0.0.1', '::', '2001:db8::7:0:0:1', '[fe80::1]', '::ffff:10.0.0.1', '1:2:3:4:5:6:7:8'],
  (text) => {
    const bytes = parseIpAddress(text)
    if (bytes === undefined) return 'none'
    const again = ipAddressText(bytes)
    if (!equalBytes(parseIpAddress(again) ?? new Uint8Array(0), bytes))
      throw new Violation(`It is written as ${again}, which is another address`)
    return `address: ${again === text} ${bytes.length}`
  },
)

const DNS_NAME: FuzzTarget = textTarget(
  'dns-name',
  ['orders.example', '*.example.org', 'EDGE.example.', 'xn--4ca.example', 'a-b.c', '10.0.0.1'],
  (text) => {
    const name = canonicalDnsName(text)
    if (name === undefined) return 'none'
    if (canonicalDnsName(name) !== name)
      throw new Violation(`${JSON.stringify(name)} has another canonical form`)
    if (parseIpAddress(name) !== undefined) throw new Violation(`${name} is an address`)
    if (!dnsNameCovers(name, name)) throw new Violation(`${name} does not cover itself`)
    return `name: ${name === text} ${magnitude(name.length)}`
  },
)

function textTarget(name: string, seeds: readonly string[], run: (text: string) => string): FuzzTarget {
  return { name, seeds: seeds.map(utf8), run: (input) => run(Buffer.from(input).toString('utf8')) }
}
