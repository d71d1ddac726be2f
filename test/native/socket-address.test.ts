import assert from 'node:assert/strict'
import test from 'node:test'
import { assert as check, integer, ipV4, ipV6, property } from 'fast-check'
import { decodeSocketAddress, encodeSocketAddress } from '../../src/native/socket-address.ts'

test('encodeSocketAddress writes what the C headers lay down', () => {
  assert.equal(
    encodeSocketAddress({ host: '127.0.0.1', port: 0x1234 }).toHex(),
    '020012347f0000010000000000000000',
  )
  assert.equal(
    encodeSocketAddress({ host: '2001:db8::ff00:42:8329', port: 443 }).toHex(),
    '0a0001bb0000000020010db8000000000000ff000042832900000000',
  )
})

test('decodeSocketAddress reads back what encodeSocketAddress wrote, in its one spelling', () => {
  const ports = integer({ min: 0, max: 65_535 })
  check(
    property(ipV4(), ports, (host, port) => {
      const bytes = encodeSocketAddress({ host, port })
      assert.deepEqual(decodeSocketAddress(bytes, bytes.length), { host, port })
    }),
  )
  check(
    property(ipV6(), ports, (text, port) => {
      const host = new URL(`http://[${text}]/`).hostname.slice(1, -1)
      const bytes = encodeSocketAddress({ host: text, port })
      const decoded = decodeSocketAddress(bytes, bytes.length)!
      if (host.startsWith('::ffff:') && host.split(':').length === 5) assert.match(decoded.host, /^[\d.]+$/)
      else assert.deepEqual(decoded, { host, port })
    }),
  )
})

test('decodeSocketAddress shows an IPv4 address on a dual-stack socket as IPv4', () => {
  const bytes = encodeSocketAddress({ host: '::ffff:10.1.2.3', port: 80 })
  assert.deepEqual(decodeSocketAddress(bytes, bytes.length), { host: '10.1.2.3', port: 80 })
})

test('decodeSocketAddress does not read beyond what the kernel filled', () => {
  for (const host of ['10.1.2.3', '::1']) {
    const bytes = encodeSocketAddress({ host, port: 80 })
    for (let length = 0; length < bytes.length; length++)
      assert.equal(decodeSocketAddress(bytes, length), undefined)
  }
  assert.equal(decodeSocketAddress(Uint8Array.of(1, 0, 0, 0), 4), undefined, 'a UNIX address')
})

test('encodeSocketAddress refuses what is no IP address', () => {
  for (const host of ['localhost', '1.2.3', '1.2.3.256', '1.2.3.04', '1::2::3', ':::', ''])
    assert.throws(() => encodeSocketAddress({ host, port: 1 }), RangeError, host)
})
