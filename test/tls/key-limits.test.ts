import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { utf8 } from '../../src/bytes/bytes.ts'
import { ContentType } from '../../src/tls/registry.ts'
import { RecordForger, suiteNamed } from '../support/tls-records.ts'
import { TlsPair } from '../support/tls-pair.ts'
import { mintWorkloads } from '../support/tls-workloads.ts'

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

test('TlsConnection refuses to send more under one key than it may, and to take more', (t) => {
  limitRecords(t, 16)
  const pair = new TlsPair(workloads, OPTIONS).run()
  // One write of more records than are left: no KeyUpdate can come between them.
  const tooMuch = new Uint8Array(17 * 16_384)
  assert.throws(() => pair.client.connection.send(tooMuch), { code: 'TLS_KEY_LIMIT' })

  const other = new TlsPair(workloads, OPTIONS).run()
  using forger = new RecordForger(other.client, 'CLIENT_TRAFFIC_SECRET_0', SUITE)
  for (let i = 0; i < 16; i++)
    other.server.connection.receive(forger.seal(ContentType.application_data, utf8('x')))
  assert.equal(other.server.received.length, 16)
  other.server.connection.receive(new Uint8Array([23, 3, 3, 0, 18, ...new Uint8Array(18)]))
  assert.equal(other.server.error!.code, 'TLS_KEY_LIMIT')
})
