import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { formatAddress, isIpAddress, isLoopback, parseAddress } from '../../src/config/address.ts'
import { CidrMap } from '../../src/config/cidr-map.ts'
import { cidrOf, covers, firstHost, formatCidr, parseCidr } from '../../src/config/cidr.ts'
import { formatDuration, parseDuration } from '../../src/config/duration.ts'
import { nearest } from '../../src/config/nearest.ts'
import { formatPortRange, parsePortRange } from '../../src/config/ports.ts'
import { isPrincipalPattern, isTrustDomain, isWorkloadId, trustDomainOf } from '../../src/config/spiffe.ts'
import { SpiffeId } from '../../src/identity/spiffe-id.ts'

test('parseDuration reads whole numbers with units from the largest to the smallest', () => {
  const durations = {
    '1h': 3_600_000,
    '30s': 30_000,
    '500ms': 500,
    '1h30m': 5_400_000,
    '1m500ms': 60_500,
    '2d1s': 172_801_000,
    '0s': 0,
    '90m': 5_400_000,
  }
  for (const [text, ms] of Object.entries(durations)) assert.equal(parseDuration(text), ms, text)
})

test('parseDuration refuses everything else', () => {
  for (const text of [
    '',
    '1',
    's',
    '-1s',
    '1.5h',
    '1s1m',
    '1h1h',
    '1 h',
    ' 1h',
    '1h ',
    '1H',
    '1ms1s',
    '1e3s',
    '١s',
  ])
    assert.equal(parseDuration(text), undefined, text)
})

test('formatDuration writes what parseDuration reads', () => {
  assert.equal(formatDuration(5_400_000), '1h30m')
  assert.equal(formatDuration(0), '0s')
  fc.assert(
    fc.property(fc.nat({ max: 10 ** 13 }), (ms) => assert.equal(parseDuration(formatDuration(ms)), ms)),
  )
})

test('parseAddress reads host:port, and one spelling of each IPv6 address', () => {
  const addresses = {
    '127.0.0.1:80': { host: '127.0.0.1', port: 80 },
    'Shop.Example.org:65535': { host: 'shop.example.org', port: 65_535 },
    '[::1]:0': { host: '::1', port: 0 },
    '[0:0:0:0:0:0:0:1]:80': { host: '::1', port: 80 },
    '[2001:DB8::A]:443': { host: '2001:db8::a', port: 443 },
    'localhost:8080': { host: 'localhost', port: 8_080 },
  }
  for (const [text, address] of Object.entries(addresses)) assert.deepEqual(parseAddress(text), address, text)
})

test('parseAddress refuses everything else', () => {
  const refused = [
    '',
    'shop',
    ':80',
    'shop:',
    'shop:65536',
    'shop:080',
    'shop:-1',
    'shop:8o',
    '::1:80',
    '[::1]',
    '[::1:80',
    '[1]:80',
    '[127.0.0.1]:80',
    '256.0.0.1:80',
    '127.1:80',
    '1:80',
    '127.0.0.1.:80',
    'a..b:80',
    '-a:80',
    'a_b:80',
    'u@h:80',
    'http://h:80',
    'h:80/',
    ' h:80',
    'h:80 ',
    '[fe80::1%eth0]:80',
  ]
  for (const text of refused) assert.equal(parseAddress(text), undefined, text)
})

test('formatAddress writes what parseAddress reads', () => {
  const host = fc.oneof(
    fc.ipV4(),
    fc.domain(),
    fc.ipV6().map((ip) => `[${ip}]`),
  )
  fc.assert(
    fc.property(host, fc.integer({ min: 0, max: 65_535 }), (host, port) => {
      const address = parseAddress(`${host}:${port}`)
      if (address === undefined) return assert.fail(host)
      assert.deepEqual(parseAddress(formatAddress(address)), address)
    }),
  )
})

test('isLoopback and isIpAddress tell addresses apart', () => {
  const kinds = {
    '127.0.0.1:1': [true, true],
    '127.8.9.1:1': [true, true],
    '[::1]:1': [true, true],
    'localhost:1': [true, false],
    '0.0.0.0:1': [false, true],
    '[::]:1': [false, true],
    '10.0.0.1:1': [false, true],
    '127.example.org:1': [false, false],
    'localhost.example.org:1': [false, false],
  }
  for (const [text, kind] of Object.entries(kinds)) {
    const address = parseAddress(text)!
    assert.deepEqual([isLoopback(address), isIpAddress(address)], kind, text)
  }
})

test('isWorkloadId accepts what SpiffeId.parse accepts, except a trust domain alone', () => {
  const part = fc.string({
    unit: fc.constantFrom('a', 'Z', '0', '.', '-', '_', '/', '%', ' ', 'é', '*', ':'),
    maxLength: 12,
  })
  const text = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(part, part).map(([domain, path]) => `spiffe://${domain}/${path}`) },
    { weight: 4, arbitrary: part.map((path) => `spiffe://td/${path}`) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        'spiffe://td',
        'SPIFFE://td/a',
        'http://td/a',
        `spiffe://td/${'a'.repeat(2_036)}`,
        `spiffe://td/${'a'.repeat(2_037)}`,
      ),
    },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 254, max: 257 }).map((length) => `spiffe://${'a'.repeat(length)}/x`),
    },
  )
  const accepted = { yes: 0, no: 0 }
  fc.assert(
    fc.property(text, (text) => {
      const id = parsed(text)
      accepted[id === undefined ? 'no' : 'yes']++
      assert.equal(isWorkloadId(text), id !== undefined && id.path !== '')
      if (id !== undefined) {
        assert.equal(trustDomainOf(text), id.trustDomain)
        assert.ok(isTrustDomain(id.trustDomain))
      }
    }),
    { numRuns: 2_000 },
  )
  assert.ok(Math.min(accepted.yes, accepted.no) > 100, JSON.stringify(accepted))
})

function parsed(text: string): SpiffeId | undefined {
  try {
    return SpiffeId.parse(text)
  } catch {
    return undefined
  }
}

test('isPrincipalPattern allows * only as a segment or at its end, outside the trust domain', () => {
  for (const pattern of [
    '*',
    'spiffe://td/*',
    'spiffe://td/a',
    'spiffe://td/ns/*/sa/web-*',
    'spiffe://td/.*',
  ])
    assert.ok(isPrincipalPattern(pattern), pattern)
  const refused = [
    '',
    '**',
    'a*',
    'spiffe://*',
    'spiffe://*/a',
    'spiffe://t*/a',
    'spiffe://td',
    'spiffe://td/',
    'spiffe://td/*a',
    'spiffe://td/a*b',
    'spiffe://td/**',
    'spiffe://td/a//b',
    'spiffe://td/..',
    'spiffe://td/a/',
    'spiffe://td/a?*',
  ]
  for (const pattern of refused) assert.ok(!isPrincipalPattern(pattern), pattern)
})

test('nearest finds what was meant, or nothing', () => {
  const keys = ['listen', 'connect', 'peer', 'protocol', 'trustBundleFile']
  const meant = {
    lisen: 'listen',
    listne: 'listen',
    Listen: 'listen',
    peers: 'peer',
    pere: 'peer',
    trustBundle: 'trustBundleFile',
  }
  for (const [text, key] of Object.entries(meant)) assert.equal(nearest(text, keys), key)
  for (const text of ['', 'x', 'address', 'forward']) assert.equal(nearest(text, keys), undefined, text)
})

test('parseCidr reads networks and single addresses of both families', () => {
  const spellings = {
    '10.0.0.0/8': { family: 'ipv4', host: '10.0.0.0', prefix: 8 },
    '0.0.0.0/0': { family: 'ipv4', host: '0.0.0.0', prefix: 0 },
    '192.0.2.7': { family: 'ipv4', host: '192.0.2.7', prefix: 32 },
    '::/0': { family: 'ipv6', host: '::', prefix: 0 },
    'FD00:0::/8': { family: 'ipv6', host: 'fd00::', prefix: 8 },
    '2001:db8::1': { family: 'ipv6', host: '2001:db8::1', prefix: 128 },
  }
  for (const [text, cidr] of Object.entries(spellings)) assert.deepEqual(parseCidr(text), cidr, text)
})

test('parseCidr refuses host bits, prefixes that are too long, names, and IPv4 in IPv6 clothes', () => {
  for (const text of [
    '',
    '10.0.0.1/8',
    'fd00::1/64',
    '10.0.0.0/33',
    'fd00::/129',
    '10.0.0.0/08',
    '10.0.0.0/',
    '10.0.0/8',
    'example.org',
    'example.org/8',
    '::ffff:10.0.0.0/104',
    '::ffff:10.0.0.1',
    '[fd00::]/8',
    'fe80::1%lo',
    ' 10.0.0.0/8',
  ])
    assert.equal(parseCidr(text), undefined, text)
})

test('formatCidr is read back by parseCidr', () => {
  const v4 = fc.tuple(fc.ipV4(), fc.constant(32))
  const v6 = fc.tuple(
    fc.ipV6().filter((text) => !/^::ffff:|^0{1,4}(?::0{1,4}){4}:ffff:/i.test(text)),
    fc.constant(128),
  )
  fc.assert(
    fc.property(fc.oneof(v4, v6), ([text]) => {
      const cidr = parseCidr(text)
      fc.pre(cidr !== undefined)
      assert.deepEqual(parseCidr(formatCidr(cidr)), cidr)
      assert.deepEqual(cidrOf(cidr.host), cidr)
    }),
  )
})

test('covers tells networks that hold others', () => {
  const within = (outer: string, inner: string): boolean => covers(parseCidr(outer)!, parseCidr(inner)!)
  assert.ok(within('10.0.0.0/8', '10.255.0.0/16'))
  assert.ok(within('10.0.0.0/8', '10.0.0.0/8'))
  assert.ok(within('0.0.0.0/0', '192.0.2.1'))
  assert.ok(within('::/0', '2001:db8::/32'))
  assert.ok(within('2001:db8::/32', '2001:db8:ffff::1'))
  assert.ok(!within('10.0.0.0/8', '11.0.0.0/16'))
  assert.ok(!within('10.1.0.0/16', '10.0.0.0/8'))
  assert.ok(!within('0.0.0.0/0', '::1'))
  assert.ok(!within('2001:db8::/32', '2001:db9::1'))
})

test('parsePortRange reads a port or a range, which formatPortRange writes', () => {
  assert.deepEqual(parsePortRange('80'), { first: 80, last: 80 })
  assert.deepEqual(parsePortRange('8000-8100'), { first: 8000, last: 8100 })
  assert.deepEqual(parsePortRange('65535'), { first: 65_535, last: 65_535 })
  for (const text of ['80', '8000-8100', '1-65535'])
    assert.equal(formatPortRange(parsePortRange(text)!), text)
  for (const text of ['', '0', '65536', '1-65536', '9-8', '80-', '-80', '080', '80:90', '1e3', 'http'])
    assert.equal(parsePortRange(text), undefined, text)
})

test('firstHost is the first address of a network that a host can have', () => {
  const firsts = {
    '10.0.0.0/8': '10.0.0.1',
    '192.0.2.7': '192.0.2.7',
    '192.0.2.6/31': '192.0.2.7',
    'fd00::/8': 'fd00::1',
    '2001:db8:0:ffff::/64': '2001:db8:0:ffff::1',
    '::1': '::1',
  }
  for (const [cidr, first] of Object.entries(firsts)) assert.equal(firstHost(parseCidr(cidr)!), first, cidr)
})

test('CidrMap finds what a search of all networks would, the narrowest first', () => {
  const cidr = fc
    .tuple(fc.nat(255), fc.integer({ min: 24, max: 32 }), fc.boolean())
    .map(([last, prefix, isV6]) => {
      const masked = last & (0xff << (32 - prefix))
      return isV6
        ? parseCidr(`fd00::${masked.toString(16)}/${prefix + 96}`)!
        : parseCidr(`10.0.0.${masked}/${prefix}`)!
    })
  fc.assert(
    fc.property(fc.array(cidr), fc.nat(255), fc.boolean(), (cidrs, last, isV6) => {
      const host = isV6 ? parseCidr(`fd00::${last.toString(16)}`)!.host : `10.0.0.${last}`
      const expected = cidrs
        .map((network, index) => ({ network, index }))
        .filter(({ network }) => covers(network, cidrOf(host)))
        .toSorted((one, other) => other.network.prefix - one.network.prefix)
        .map(({ index }) => index)
      assert.deepEqual([...new CidrMap(cidrs.map((network, index) => [network, index])).at(host)], expected)
    }),
  )
})
