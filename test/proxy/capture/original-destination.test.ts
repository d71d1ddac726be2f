import assert from 'node:assert/strict'
import test from 'node:test'
import { parseAddress } from '../../../src/config/address.ts'
import type { Connection } from '../../../src/net/transport.ts'
import { inboundDestination, outboundDestination } from '../../../src/proxy/capture/original-destination.ts'
import { OwnAddresses } from '../../../src/proxy/capture/own-addresses.ts'

const PORTS = new Set([15_000, 15_001, 15_006])
const OWN = new OwnAddresses(() => ['127.0.0.1', '10.0.0.1', 'fd00::1'])

function arrived(local: string, original?: string): Connection {
  const nothing = (): void => {}
  return {
    local: parseAddress(local)!,
    remote: parseAddress('10.0.0.2:40000')!,
    originalDestination: original === undefined ? undefined : parseAddress(original)!,
    attach: nothing,
    write: () => true,
    pause: nothing,
    resume: nothing,
    end: nothing,
    abort: nothing,
  }
}

test('outboundDestination is where the application meant to go', () => {
  for (const to of ['192.0.2.9:80', '[2001:db8::9]:65535', '192.0.2.9:15001', '10.0.0.1:8080'])
    assert.deepEqual(outboundDestination(arrived('127.0.0.1:15001', to), PORTS, OWN), parseAddress(to))
})

test('outboundDestination refuses what was not captured, and what leads back here', () => {
  const refused = {
    'no original destination': [arrived('10.0.0.1:15001'), 'PROXY_NOT_CAPTURED'],
    'the listener itself': [arrived('10.0.0.1:15001', '10.0.0.1:15001'), 'PROXY_NOT_CAPTURED'],
    'the other listener': [arrived('127.0.0.1:15001', '10.0.0.1:15006'), 'PROXY_BAD_DESTINATION'],
    'the admin pages': [arrived('127.0.0.1:15001', '127.0.0.1:15000'), 'PROXY_BAD_DESTINATION'],
    'loopback by IPv6': [arrived('[::1]:15001', '[::1]:80'), 'PROXY_BAD_DESTINATION'],
  } as const
  for (const [name, [connection, code]] of Object.entries(refused))
    assert.throws(() => outboundDestination(connection, PORTS, OWN), { code }, name)
})

test('inboundDestination is where the client meant to go', () => {
  for (const to of ['10.0.0.1:80', '[fd00::1]:65535'])
    assert.deepEqual(inboundDestination(arrived('10.0.0.1:15006', to), PORTS, OWN), parseAddress(to))
})

test('inboundDestination refuses what was not captured, the own ports, loopback, and other hosts', () => {
  const refused = {
    'no original destination': [arrived('10.0.0.1:15006'), 'PROXY_NOT_CAPTURED'],
    'the listener itself': [arrived('10.0.0.1:15006', '10.0.0.1:15006'), 'PROXY_NOT_CAPTURED'],
    'the outbound listener': [arrived('10.0.0.1:15006', '10.0.0.1:15001'), 'PROXY_BAD_DESTINATION'],
    'the admin pages': [arrived('10.0.0.1:15006', '10.0.0.1:15000'), 'PROXY_BAD_DESTINATION'],
    loopback: [arrived('10.0.0.1:15006', '127.0.0.1:80'), 'PROXY_BAD_DESTINATION'],
    'another host': [arrived('10.0.0.1:15006', '192.0.2.9:80'), 'PROXY_BAD_DESTINATION'],
  } as const
  for (const [name, [connection, code]] of Object.entries(refused))
    assert.throws(() => inboundDestination(connection, PORTS, OWN), { code }, name)
})

test('OwnAddresses asks again for an address that it does not know, since interfaces come and go', () => {
  const addresses = ['10.0.0.1']
  let asked = 0
  const own = new OwnAddresses(() => {
    asked++
    return addresses
  })
  assert.ok(own.has('10.0.0.1') && own.has('10.0.0.1'))
  assert.equal(asked, 1)
  assert.ok(!own.has('10.0.0.2'))
  addresses.push('10.0.0.2')
  assert.ok(own.has('10.0.0.2'))
})

test('OwnAddresses knows the loopback addresses of this machine', () => {
  assert.ok(new OwnAddresses().has('127.0.0.1'))
})
