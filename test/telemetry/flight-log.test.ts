import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { HandfastError } from '../../src/errors.ts'
import { withoutQuery } from '../../src/telemetry/access-log.ts'
import { HandshakeLog } from '../../src/telemetry/handshake-log.ts'
import { handshakeDetail, handshakeSummary } from '../../src/telemetry/handshake-record.ts'
import { plainJson } from '../../src/telemetry/plain-json.ts'
import { Ring } from '../../src/telemetry/ring.ts'
import { recorded } from '../authz/flight/arbitraries.ts'
import { policy, policySet } from '../authz/support.ts'
import { mintRoot } from '../support/certificates.ts'

const ORIGIN = { direction: 'inbound', listener: 'in', remote: '127.0.0.1:1', startedAtMs: 0 } as const

test('Ring keeps the newest entries in order, and the first one beside them if asked', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.nat(40), fc.boolean(), (capacity, count, keepFirst) => {
      const ring = new Ring<number>(capacity, { keepFirst })
      const all = Array.from({ length: count }, (_, index) => index)
      for (const entry of all) ring.add(entry)
      const newest = all.slice(-capacity)
      const expected = keepFirst && count > capacity ? [0, ...newest] : newest
      assert.deepEqual(ring.entries, expected)
      assert.equal(ring.total, count)
    }),
  )
})

test('HandshakeLog keeps the last 256 handshakes and the first, each findable by its id', () => {
  const log = new HandshakeLog()
  for (let i = 0; i < 1_000; i++) log.begin(ORIGIN)
  assert.equal(log.records.length, 257)
  assert.equal(log.records[0]?.id, 1)
  assert.equal(log.records[1]?.id, 745)
  assert.equal(log.find(1_000)?.id, 1_000)
  assert.equal(log.find(2), undefined)
})

test('HandshakeLog has records that made room let go of their events for good, except the first', () => {
  const log = new HandshakeLog()
  const records = Array.from({ length: 258 }, () => {
    const record = log.begin(ORIGIN)
    record.trace({ kind: 'transcript', atMs: 0 })
    return record
  })
  for (const record of records) record.trace({ kind: 'transcript', atMs: 1 })
  assert.deepEqual(
    [0, 1, 2].map((index) => records[index]!.events.length),
    [2, 0, 2],
  )
})

test('HandshakeLog keeps the steps of all failures, and of as many successes as somebody could follow', () => {
  const log = new HandshakeLog()
  const run = (startedAtMs: number, outcome: 'established' | 'failed'): number => {
    const record = log.begin({ ...ORIGIN, startedAtMs })
    record.trace({ kind: 'transcript', atMs: startedAtMs })
    if (outcome === 'failed') record.failed(new HandfastError('CODE', 'what happened'))
    else record.established({ version: 'TLS 1.3', cipherSuite: 'TLS_AES_128_GCM_SHA256', resumed: false })
    assert.equal(record.stepsKept, record.events.length === 1)
    return record.events.length
  }
  const kept = (count: number, startedAtMs: number, outcome: 'established' | 'failed'): number =>
    Array.from({ length: count }, () => run(startedAtMs, outcome)).reduce((sum, events) => sum + events, 0)
  assert.equal(kept(100, 0, 'established'), 64)
  assert.equal(kept(100, 0, 'failed'), 100)
  assert.equal(kept(100, 1_000, 'established'), 16)
  // A clock that goes back gives nothing twice.
  assert.equal(kept(1, 500, 'established') + kept(1, 1_000, 'established'), 0)
  assert.equal(kept(100, 3_600_000, 'established'), 64)
})

test('HandshakeRecord is bounded, and tells a failure in the handshake from one after it', () => {
  const record = new HandshakeLog().begin(ORIGIN)
  for (let i = 0; i < 1_000; i++) record.trace({ kind: 'transcript', atMs: i })
  assert.equal((handshakeDetail(record)['events'] as unknown[]).length, 64)
  assert.equal(handshakeSummary(record)['outcome'], 'in-progress')
  record.failed(new HandfastError('FIRST', 'the cause'))
  record.failed(new HandfastError('SECOND', 'a consequence'))
  assert.equal(handshakeSummary(record)['outcome'], 'failed')
  assert.equal((handshakeSummary(record)['error'] as Record<string, unknown>)['code'], 'FIRST')
})

test('plainJson renders anything as JSON: bytes, errors with causes, cycles, certificates', async () => {
  const { certificate } = await mintRoot()
  const cycle: Record<string, unknown> = {}
  cycle['self'] = cycle
  const error = new HandfastError('CODE', 'what happened', { cause: new TypeError('why') })
  const json = plainJson({
    certificate,
    bytes: new Uint8Array([1, 255]),
    error,
    cycle,
    none: undefined,
    big: 3n,
  })
  const text = JSON.stringify(json)
  assert.match(text, /-----BEGIN CERTIFICATE-----/)
  assert.match(text, /"bytes":"01ff"/)
  assert.match(text, /"code":"CODE","cause":\{"name":"TypeError","message":"why"\}/)
  assert.doesNotMatch(text, /"none"/)
})

test('plainJson always gives what JSON can carry', () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withDate: true, withTypedArray: true }), (value) => {
      const json = plainJson(value)
      assert.deepEqual(JSON.parse(JSON.stringify(json)), JSON.parse(JSON.stringify(json ?? null)))
    }),
  )
})

test('withoutQuery cuts the query and a fragment off', () => {
  assert.equal(withoutQuery('/a/b?token=1#c'), '/a/b')
  assert.equal(withoutQuery('/a'), '/a')
})

test('FlightLog tells of headers that policy reads, and never what a credential is, however it is spelt', () => {
  const policies = policySet(
    policy(
      'p',
      `{ action: ALLOW, rules: [{ to: [{ headers: [{ name: x-tier, values: [gold] }, { name: x-api-key, values: ["*"] }, { name: my-token, values: ["*"] }] }] }] }`,
    ),
  )
  const headers = {
    'x-tier': ['gold'],
    'x-api-key': ['s1'],
    x_api_key: ['s2'],
    'my-token': ['s3'],
    cookie: ['s4'],
  }
  const [decision] = recorded(policies, [
    {
      principal: 'spiffe://td/ns/shop/sa/web',
      workload: { namespace: 'shop', serviceAccount: 'catalog' },
      port: 1,
      http: { method: 'GET', path: '/a?s5', headers },
    },
  ])
  assert.deepEqual(decision!.request.http?.headers, {
    'x-tier': ['gold'],
    'x-api-key': { hidden: true },
    'my-token': { hidden: true },
  })
  assert.doesNotMatch(JSON.stringify(decision), /s[1-5]"/)
})
