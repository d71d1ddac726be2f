import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { canonicalDnsName, dnsNameCovers, ipAddressText, parseIpAddress } from '../../src/pki/host-name.ts'

test('canonicalDnsName lowers case, drops the final dot and refuses what is no host name', () => {
  assert.equal(canonicalDnsName('Web.Shop.Example.'), 'web.shop.example')
  assert.equal(canonicalDnsName('localhost'), 'localhost')
  assert.equal(canonicalDnsName('xn--bcher-kva.example'), 'xn--bcher-kva.example')
  const wrong = [
    '',
    '.',
    '..',
    '.a',
    'a..b',
    'a.b..',
    '-a.b',
    'a-.b',
    'a_b.c',
    'a b',
    'bücher.example',
    '*.a.b',
    'a.*',
  ]
  for (const name of [
    ...wrong,
    '127.0.0.1',
    '1',
    '::1',
    'a\0b',
    `${'a'.repeat(64)}.b`,
    `${'a.'.repeat(127)}b`,
  ])
    assert.equal(canonicalDnsName(name), undefined, `${name} is no host name`)
})

test('dnsNameCovers compares whole names without regard to case', () => {
  assert.ok(dnsNameCovers('Shop.Example', 'shop.example'))
  for (const presented of [
    'www.shop.example',
    'example',
    'shop.example.',
    'hop.example',
    ' shop.example',
    '',
  ])
    assert.ok(!dnsNameCovers(presented, 'shop.example'), `${presented} does not cover shop.example`)
})

test('dnsNameCovers takes a wildcard for one whole label, the first, before two others', () => {
  assert.ok(dnsNameCovers('*.shop.example', 'www.shop.example'))
  const refused = [
    ['*.shop.example', 'shop.example'],
    ['*.shop.example', 'a.b.shop.example'],
    ['*.shop.example', '.shop.example'],
    ['w*.shop.example', 'www.shop.example'],
    ['*w.shop.example', 'www.shop.example'],
    ['www.*.example', 'www.shop.example'],
    ['*.*.example', 'www.shop.example'],
    ['*.example', 'shop.example'],
    ['*', 'example'],
    ['*.', 'example'],
    ['xn--*.shop.example', 'xn--a.shop.example'],
  ] as const
  for (const [presented, name] of refused)
    assert.ok(!dnsNameCovers(presented, name), `${presented} does not cover ${name}`)
})

test('parseIpAddress reads both families and refuses everything else', () => {
  const bytes = (text: string): string | undefined => parseIpAddress(text)?.toHex()
  assert.equal(bytes('192.0.2.1'), 'c0000201')
  assert.equal(bytes('::1'), '00000000000000000000000000000001')
  assert.equal(bytes('[2001:db8::8a2e:370:7334]'), '20010db80000000000008a2e03707334')
  assert.equal(bytes('::ffff:192.0.2.1'), '00000000000000000000ffffc0000201')
  assert.equal(bytes('1:2:3:4:5:6:7:8'), '00010002000300040005000600070008')
  assert.equal(bytes('::'), '00'.repeat(16))
  const wrong = [
    '192.0.2',
    '192.0.2.256',
    '192.0.2.01',
    '0x7f.0.0.1',
    '1:2',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    ':::',
    '12345::',
    'fe80::1%eth0',
    '::1.2.3',
  ]
  for (const text of [...wrong, '1:2:3:4:5:6:7::8', 'localhost', ''])
    assert.equal(bytes(text), undefined, text)
})

test('ipAddressText and parseIpAddress are inverse', () => {
  assert.equal(ipAddressText(parseIpAddress('2001:db8:0:0:1:0:0:1')!), '2001:db8::1:0:0:1')
  const address = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc
      .array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 })
      .map((bytes) => Uint8Array.from(bytes)),
  )
  fc.assert(fc.property(address, (bytes) => assert.deepEqual(parseIpAddress(ipAddressText(bytes)), bytes)))
})
