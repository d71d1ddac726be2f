import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { equalBytes, utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { ContentType } from '../../src/tls/registry.ts'
import { clientTickets } from '../../src/tls/session/client-tickets.ts'
import { statefulTickets } from '../../src/tls/session/stateful-tickets.ts'
import { RecordForger, suiteNamed } from '../support/tls-records.ts'
import { TlsPair, type TlsPairOptions } from '../support/tls-pair.ts'
import { mintWorkloads } from '../support/tls-workloads.ts'

const crypto = nativeCrypto()
const workloads = await mintWorkloads()

const SUITE = 'TLS_AES_128_GCM_SHA256'
const OPTIONS = { client: { suites: [SUITE] } } as const

/** Makes a key wear out after so many records, for as long as the test lasts: the real limit is out of reach. */
function limitRecords(t: TestContext, records: number): void {
  const suite = suiteNamed(SUITE) as { recordLimit: number }
  const { recordLimit } = suite
  suite.recordLimit = records
  t.after(() => (suite.recordLimit = recordLimit))
}

test('TlsConnection replaces its key by itself before the key wears out, in both directions', (t) => {
  limitRecords(t, 16)
  using pair = new TlsPair(workloads, OPTIONS).run()
  for (let i = 0; i < 200; i++) {
    for (const { connection } of pair.ends) connection.send(utf8('x'))
    pair.pump()
  }
  for (const end of pair.ends) {
    assert.equal(end.error, undefined)
    assert.equal(end.received.length, 200)
    const updates = end.trace.filter(
      (event) => event.kind === 'message' && event.direction === 'sent' && event.type === 'key_update',
    )
    // Before every eighth record but the first: at half of the limit.
    assert.equal(updates.length, 200 / 8 - 1)
  }
})

test('TlsConnection replaces its key within one write that is too much for it', (t) => {
  limitRecords(t, 16)
  for (const smallFirstRecords of [false, true]) {
    using pair = new TlsPair(workloads, { client: { ...OPTIONS.client, smallFirstRecords } }).run()
    const much = crypto.random(50 * 16_384 + 1)
    pair.client.connection.send(utf8('x'))
    pair.client.connection.send(much)
    pair.pump()
    assert.equal(pair.server.error, undefined)
    assert.ok(equalBytes(pair.server.received.subarray(1), much))
    const updates = pair.client.trace.filter(
      (event) => event.kind === 'message' && event.direction === 'sent' && event.type === 'key_update',
    )
    // 52 records, of which every eighth waits for a new key; small ones are more.
    assert.ok(smallFirstRecords ? updates.length > 6 : updates.length === 6)
  }
})

test('TlsConnection gives up a key at its limit where none can follow', (t) => {
  limitRecords(t, 16)
  const [tickets, store] = [clientTickets(), statefulTickets(crypto)]
  const options: TlsPairOptions = {
    client: { ...OPTIONS.client, tickets, earlyData: true },
    server: { tickets: { store }, earlyData: { maxBytes: 2 ** 20 } },
  }
  new TlsPair(workloads, options).run()[Symbol.dispose]()
  using pair = new TlsPair(workloads, options).start()
  const early = new Uint8Array(9 * 16_384)
  assert.equal(pair.client.connection.sendEarly(early), 8 * 16_384)
  assert.throws(() => pair.client.connection.sendEarly(early), { code: 'TLS_KEY_LIMIT' })
})

test('TlsConnection refuses to take more under one key than it may', (t) => {
  limitRecords(t, 16)
  const other = new TlsPair(workloads, OPTIONS).run()
  using forger = new RecordForger(other.client, 'CLIENT_TRAFFIC_SECRET_0', SUITE)
  for (let i = 0; i < 16; i++)
    other.server.connection.receive(forger.seal(ContentType.application_data, utf8('x')))
  assert.equal(other.server.received.length, 16)
  other.server.connection.receive(new Uint8Array([23, 3, 3, 0, 18, ...new Uint8Array(18)]))
  assert.equal(other.server.error!.code, 'TLS_KEY_LIMIT')
})
