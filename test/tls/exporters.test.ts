/** Keying material for uses outside TLS (RFC 8446 §7.5): early, and once both sides are known. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { toHex, utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { exportKeyingMaterial } from '../../src/tls/key-schedule.ts'
import { clientTickets } from '../../src/tls/session/client-tickets.ts'
import { statefulTickets } from '../../src/tls/session/stateful-tickets.ts'
import { assertEstablished, established } from '../support/tls-outcome.ts'
import { TlsPair, type TlsEnd, type TlsPairOptions } from '../support/tls-pair.ts'
import { mintWorkloads } from '../support/tls-workloads.ts'

const crypto = nativeCrypto()
const workloads = await mintWorkloads()
const CONTEXT = utf8('context')

function exported({ connection }: TlsEnd): string {
  return toHex(connection.exportKeyingMaterial('EXPORTER-test', CONTEXT, 40))
}

function exportedEarly({ connection }: TlsEnd): string {
  return toHex(connection.exportEarlyKeyingMaterial('EXPORTER-test', CONTEXT, 40))
}

const MISUSE = { code: 'TLS_MISUSE' }

/** A pair that resumes with early data, if the server takes it. */
function resuming(server: TlsPairOptions['server'] = {}): TlsPair {
  const [tickets, store] = [clientTickets(), statefulTickets(crypto)]
  const both: TlsPairOptions = {
    client: { tickets, earlyData: true },
    server: { tickets: { store }, earlyData: { maxBytes: 4096 } },
  }
  established(workloads, both)[Symbol.dispose]()
  return new TlsPair(workloads, { client: both.client!, server: { ...both.server, ...server } }).start()
}

test('TlsConnection exports keying material only from the end of the handshake to that of the connection', () => {
  const pair = new TlsPair(workloads).start()
  for (const end of pair.ends) {
    assert.throws(() => exported(end), { ...MISUSE, message: /before the handshake is complete/ })
    assert.throws(() => exportedEarly(end), { ...MISUSE, message: /no early data/ })
  }
  assertEstablished(pair.pump())
  assert.equal(exported(pair.client), exported(pair.server))
  for (const end of pair.ends) assert.throws(() => exportedEarly(end), MISUSE)
  pair[Symbol.dispose]()
  for (const end of pair.ends) assert.throws(() => exported(end), MISUSE)
})

test('TlsConnection exports early keying material with early data, the same on both sides', () => {
  const pair = resuming()
  const first = exportedEarly(pair.client)
  assert.throws(() => exported(pair.client), MISUSE)
  pair.client.connection.sendEarly(utf8('early'))
  assertEstablished(pair.pump())
  assert.equal(pair.server.session!.earlyData, 'accepted')
  assert.deepEqual([exportedEarly(pair.client), exportedEarly(pair.server)], [first, first])
  const secret = pair.client.secret('EARLY_EXPORTER_SECRET')
  const request = { label: 'EXPORTER-test', context: CONTEXT, length: 40 }
  assert.equal(first, toHex(exportKeyingMaterial(crypto, 'sha256', secret, request)))
  assert.notEqual(first, exported(pair.client))
  pair[Symbol.dispose]()
  for (const end of pair.ends) assert.throws(() => exportedEarly(end), MISUSE)
})

test('TlsConnection exports no early keying material once early data was declined', () => {
  const servers: readonly TlsPairOptions['server'][] = [
    { alpn: ['h2'], chooseAlpn: () => undefined, suites: ['TLS_CHACHA20_POLY1305_SHA256'] },
    { groups: ['secp384r1'] },
  ]
  for (const server of servers) {
    using pair = resuming(server)
    exportedEarly(pair.client)
    pair.client.connection.sendEarly(utf8('early'))
    assertEstablished(pair.pump())
    assert.notEqual(pair.client.session!.earlyData, 'accepted')
    for (const end of pair.ends) assert.throws(() => exportedEarly(end), MISUSE)
    assert.equal(exported(pair.client), exported(pair.server))
  }
})
