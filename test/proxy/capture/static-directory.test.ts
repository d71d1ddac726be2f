import assert from 'node:assert/strict'
import test from 'node:test'
import { parseAddress } from '../../../src/config/address.ts'
import type { CaptureConfig, MeshedDestination } from '../../../src/config/capture-config.ts'
import { parseCidr } from '../../../src/config/cidr.ts'
import { PassThrough } from '../../../src/proxy/capture/pass-through.ts'
import type { Destination } from '../../../src/proxy/capture/peer-directory.ts'
import { StaticDirectory } from '../../../src/proxy/capture/static-directory.ts'

const id = (name: string): string => `spiffe://example.org/ns/shop/sa/${name}`

function entry(to: string, name: string, ports?: readonly number[]): MeshedDestination {
  return { to: parseCidr(to)!, peer: id(name), ...(ports && { ports }) }
}

function lookup(config: Partial<CaptureConfig>, to: string): Destination {
  const directory = new StaticDirectory({ peers: [], external: [], outboundPolicy: 'ALLOW_ANY', ...config })
  return directory.lookup(parseAddress(to)!)
}

function peerOf(destination: Destination): string | undefined {
  return destination.kind === 'meshed' ? destination.peer : undefined
}

test('StaticDirectory demands the identity of the narrowest network, and of the port where one is named', () => {
  const peers = [
    entry('10.0.0.0/8', 'wide'),
    entry('10.1.0.0/16', 'narrow'),
    entry('10.1.0.0/16', 'narrow-80', [80, 443]),
    entry('10.1.2.3', 'one', [80]),
    entry('fd00::/8', 'six'),
  ]
  const expected = {
    '10.2.0.1:80': 'wide',
    '10.1.0.1:81': 'narrow',
    '10.1.0.1:443': 'narrow-80',
    '10.1.2.3:80': 'one',
    '10.1.2.3:443': 'narrow-80',
    '[fd12::1]:65535': 'six',
  }
  for (const ordered of [peers, peers.toReversed()])
    for (const [to, name] of Object.entries(expected))
      assert.equal(peerOf(lookup({ peers: ordered }, to)), id(name), to)
})

test('StaticDirectory leads to where the workload is, or to the destination itself', () => {
  const connect = { host: '10.0.0.7', port: 8080 }
  const peers = [{ ...entry('10.96.0.1', 'catalog', [80]), connect }, entry('10.0.0.7', 'catalog')]
  assert.deepEqual(lookup({ peers }, '10.96.0.1:80'), { kind: 'meshed', peer: id('catalog'), connect })
  assert.deepEqual(lookup({ peers }, '10.0.0.7:9'), {
    kind: 'meshed',
    peer: id('catalog'),
    connect: { host: '10.0.0.7', port: 9 },
  })
})

test('StaticDirectory lets unknown destinations through or refuses them, as the policy says', () => {
  const external = [{ to: parseCidr('198.51.100.0/24')!, ports: [443] }]
  const passed = lookup({}, '192.0.2.1:80')
  assert.ok(passed.kind === 'pass-through' && PassThrough.is(passed.warrant))
  const only = { external, outboundPolicy: 'REGISTRY_ONLY' } as const
  assert.equal(lookup(only, '198.51.100.9:443').kind, 'pass-through')
  assert.deepEqual(lookup(only, '198.51.100.9:80'), {
    kind: 'refused',
    reason: 'The configuration has no entry for 198.51.100.9:80',
  })
  assert.equal(lookup(only, '[2001:db8::1]:443').kind, 'refused')
})

test('StaticDirectory never lets a destination of the mesh through untouched, whatever else names it', () => {
  const external = [{ to: parseCidr('10.0.0.7')!, ports: [8080] }]
  const peers = [entry('10.0.0.0/8', 'catalog')]
  for (const outboundPolicy of ['ALLOW_ANY', 'REGISTRY_ONLY'] as const)
    assert.equal(lookup({ peers, external, outboundPolicy }, '10.0.0.7:8080').kind, 'meshed')
})
