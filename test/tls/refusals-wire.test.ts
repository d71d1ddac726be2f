import assert from 'node:assert/strict'
import test from 'node:test'
import { concat, toHex, utf8 } from '../../src/bytes/bytes.ts'
import { AlertDescription, type AlertName } from '../../src/tls/alerts.ts'
import { ContentType } from '../../src/tls/registry.ts'
import { plainRecord, RecordForger, splitRecords } from '../support/tls-records.ts'
import { TlsPair, type TlsEnd } from '../support/tls-pair.ts'
import { mintWorkloads } from '../support/tls-workloads.ts'

const workloads = await mintWorkloads()

const SUITE = 'TLS_AES_128_GCM_SHA256'

/** `end` has failed with `code`, and told so in plaintext. */
function failed(end: TlsEnd, code: string, alert: AlertName | undefined, evidence: RegExp = /./): void {
  assert.deepEqual(end.calls, [`failed ${code}`])
  assert.match(end.error!.message, evidence)
  const records = splitRecords(end.take())
  if (alert === undefined) {
    assert.equal(records.length, 0)
    return
  }
  assert.equal(toHex(records.at(-1)!), toHex(plainRecord(21, Uint8Array.of(2, AlertDescription[alert]))))
}

function server(): TlsEnd {
  return new TlsPair(workloads).start().server
}

/** A client that has sent its hello. */
function client(): TlsEnd {
  const { client } = new TlsPair(workloads).start()
  client.take()
  return client
}

test('TlsConnection names a peer that does not speak TLS', () => {
  const peers: readonly [string, RegExp][] = [
    ['GET /healthz HTTP/1.1\r\nHost: orders\r\n\r\n', /plaintext HTTP: its first bytes are "GET \/healthz/],
    ['SSH-2.0-OpenSSH_10.0\r\n', /SSH/],
    ['\x00\x00\x00\x2aELASTIC', /not TLS/],
  ]
  for (const [text, evidence] of peers) {
    for (const end of [server(), client()]) {
      end.connection.receive(Buffer.from(text, 'latin1'))
      failed(end, 'TLS_NOT_TLS', 'unexpected_message', evidence)
    }
  }
})

test('TlsConnection as client names a server that answers its hello in plaintext HTTP', () => {
  const end = client()
  end.connection.receive(utf8('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'))
  failed(end, 'TLS_NOT_TLS', 'unexpected_message', /plaintext HTTP response/)
})

test('TlsConnection as server tells a client of TLS 1.2 alone that its version is not spoken', () => {
  // Its extensions, in full: supported_groups and ec_point_formats.
  const extensions = '000a00040002001d' + '000b00020100'
  const body = `0303${'11'.repeat(32)}000004c02bc02f0100000e${extensions}`
  const message = Uint8Array.fromHex(`010000${(body.length / 2).toString(16)}${body}`)
  const end = server()
  end.connection.receive(plainRecord(ContentType.handshake, message, 0x0301))
  failed(end, 'TLS_NO_COMMON_VERSION', 'protocol_version', /0x303, expected TLS 1\.3/)
  assert.equal(end.error!.blame, 'negotiation')
})

/** A ServerHello of TLS 1.2 with the extensions that such servers send, for the random's last eight bytes. */
function tls12ServerHello(randomEnd: string): Uint8Array<ArrayBuffer> {
  const extensions = 'ff01000100' + '00000000' + '0010000500030268' + '32'
  const body = `0303${'22'.repeat(24)}${randomEnd}00c02f00${(extensions.length / 2).toString(16).padStart(4, '0')}${extensions}`
  return plainRecord(
    ContentType.handshake,
    Uint8Array.fromHex(`020000${(body.length / 2).toString(16)}${body}`),
  )
}

test('TlsConnection as client refuses TLS 1.2, and knows a downgrade from an old server', () => {
  const old = client()
  old.connection.receive(tls12ServerHello('22'.repeat(8)))
  failed(old, 'TLS_NO_COMMON_VERSION', 'protocol_version', /version 0x303, but only TLS 1\.3/)
  for (const sentinel of ['444f574e47524401', '444f574e47524400']) {
    const steered = client()
    steered.connection.receive(tls12ServerHello(sentinel))
    failed(steered, 'TLS_DOWNGRADE', 'illegal_parameter', /steered to an older version/)
  }
})

test('TlsConnection refuses what is too long by what announces it', () => {
  const message = Uint8Array.of(1, 0xff, 0xff, 0xff)
  const longMessage = server()
  longMessage.connection.receive(plainRecord(ContentType.handshake, message))
  failed(longMessage, 'TLS_MESSAGE_TOO_LONG', 'illegal_parameter', /client_hello announces 16777215/)
  const longRecord = server()
  longRecord.connection.receive(Uint8Array.of(22, 3, 1, 0x40, 1))
  failed(longRecord, 'TLS_RECORD_OVERFLOW', 'record_overflow', /announces 16385/)
})

test('TlsConnection fails in words where the transport ends, at every byte of every flight', () => {
  const flights: Uint8Array[] = []
  new TlsPair(workloads).run((from, bytes) => {
    if (from === 'client' || flights.length > 0) flights.push(bytes.slice())
    return [bytes]
  })
  for (let at = 0; at < flights[0]!.length; at++) {
    const end = server()
    end.connection.receive(flights[0]!.slice(0, at))
    end.connection.receiveEnd()
    failed(end, 'TLS_HANDSHAKE_TRUNCATED', undefined)
  }
  for (const side of ['client', 'server'] as const) {
    const step = 7
    for (let at = 0, length = Infinity; at < length; at += step) {
      const pair = new TlsPair(workloads).start()
      pair.server.connection.receive(pair.client.take())
      const flight = pair.server.take()
      const [end, bytes] = side === 'client' ? [pair.client, flight] : [pair.server, toFinished(pair, flight)]
      length = bytes.length
      // Signatures vary in their length, and the flights with them.
      if (at >= length) break
      end.connection.receive(bytes.slice(0, at))
      end.connection.receiveEnd()
      assert.deepEqual(end.calls, ['failed TLS_HANDSHAKE_TRUNCATED'], `${side}, byte ${at}`)
      pair[Symbol.dispose]()
    }
  }
})

/** The client's last flight, in answer to the server's. */
function toFinished(pair: TlsPair, flight: Uint8Array): Uint8Array {
  pair.client.connection.receive(flight)
  return pair.client.take()
}

test('TlsConnection takes change_cipher_spec as RFC 8446 §5 allows it, and refuses it elsewhere', () => {
  const ccs = (...bytes: number[]): Uint8Array =>
    plainRecord(ContentType.change_cipher_spec, Uint8Array.from(bytes))
  const first = server()
  first.connection.receive(ccs(1))
  failed(first, 'TLS_UNEXPECTED_MESSAGE', 'unexpected_message', /outside the handshake/)
  for (const wrong of [ccs(), ccs(0), ccs(2), ccs(1, 1)]) {
    const end = client()
    end.connection.receive(wrong)
    failed(end, 'TLS_UNEXPECTED_MESSAGE', 'unexpected_message', /one byte 1/)
  }
  const early = client()
  early.connection.receive(ccs(1))
  assert.deepEqual(early.calls, [])

  const pair = new TlsPair(workloads).start()
  const hello = pair.client.take()
  pair.server.connection.receive(
    concat(plainRecord(22, hello.subarray(5, 20)), ccs(1), plainRecord(22, hello.subarray(20))),
  )
  failed(pair.server, 'TLS_UNEXPECTED_MESSAGE', 'unexpected_message', /interrupted by change_cipher_spec/)

  using open = new TlsPair(workloads).run()
  open.server.connection.receive(ccs(1))
  assert.deepEqual(open.server.calls, ['established', 'failed TLS_UNEXPECTED_MESSAGE'])
})

test('TlsConnection cuts off floods of records that carry nothing', () => {
  const alert = plainRecord(ContentType.alert, Uint8Array.of(1, AlertDescription.user_canceled))
  const floods = {
    change_cipher_spec: {
      record: plainRecord(ContentType.change_cipher_spec, Uint8Array.of(1)),
      forgiven: 32,
    },
    user_canceled: { record: alert, forgiven: 4 },
  }
  for (const [name, { record, forgiven }] of Object.entries(floods)) {
    const end = client()
    for (let i = 0; i < forgiven; i++) end.connection.receive(record.slice())
    assert.deepEqual(end.calls, [], name)
    end.connection.receive(record.slice())
    failed(end, 'TLS_FLOOD', 'unexpected_message')
  }
  // A server that reads under handshake keys tolerates a plaintext alert, but not without end.
  const pair = new TlsPair(workloads).start()
  pair.server.connection.receive(pair.client.take())
  for (let i = 0; i < 33; i++) pair.server.connection.receive(alert.slice())
  assert.deepEqual(pair.server.calls, ['failed TLS_FLOOD'])
})

test('TlsConnection cuts off floods of empty data, and counts anew after some that is not', () => {
  using pair = new TlsPair(workloads).run()
  using forger = new RecordForger(pair.client, 'CLIENT_TRAFFIC_SECRET_0', SUITE)
  const { connection, calls } = pair.server
  const empty = (): void =>
    connection.receive(forger.seal(ContentType.application_data, new Uint8Array(0), 20))
  for (let round = 0; round < 2; round++) {
    connection.receive(forger.seal(ContentType.application_data, utf8('means it')))
    for (let i = 0; i < 32; i++) empty()
  }
  assert.deepEqual(calls, ['established', 'data 8', 'data 8'])
  empty()
  assert.deepEqual(calls, ['established', 'data 8', 'data 8', 'failed TLS_FLOOD'])
})

test('TlsConnection refuses data under handshake keys, before the Finished', () => {
  const pair = new TlsPair(workloads, { client: { groups: ['x25519'] } }).start()
  pair.server.connection.receive(pair.client.take())
  const [hello] = splitRecords(pair.server.take())
  using toClient = new RecordForger(pair.server, 'SERVER_HANDSHAKE_TRAFFIC_SECRET', SUITE)
  pair.client.connection.receive(hello!)
  pair.client.connection.receive(toClient.seal(ContentType.application_data, utf8('early')))
  assert.deepEqual(pair.client.calls, ['failed TLS_UNEXPECTED_MESSAGE'])
  assert.match(pair.client.error!.message, /before the handshake was complete/)
  using toServer = new RecordForger(pair.server, 'CLIENT_HANDSHAKE_TRAFFIC_SECRET', SUITE)
  pair.server.connection.receive(toServer.seal(ContentType.application_data, utf8('early')))
  assert.deepEqual(pair.server.calls, ['failed TLS_UNEXPECTED_MESSAGE'])
})

test('TlsConnection refuses data under the keys to come, before the Finished that they wait for', () => {
  const pair = new TlsPair(workloads).start()
  pair.server.connection.receive(pair.client.take())
  using toServer = new RecordForger(pair.server, 'CLIENT_TRAFFIC_SECRET_0', SUITE)
  pair.server.connection.receive(toServer.seal(ContentType.application_data, utf8('early')))
  assert.deepEqual(pair.server.calls, ['failed TLS_BAD_RECORD_MAC'])
})

test('TlsConnection refuses plaintext once keys are agreed', () => {
  for (const type of [ContentType.handshake, ContentType.application_data, ContentType.alert]) {
    using pair = new TlsPair(workloads).run()
    pair.server.connection.receive(plainRecord(type, utf8('in the clear, and long enough')))
    assert.match(pair.server.calls.join(), /^established,failed TLS_(UNEXPECTED_MESSAGE|BAD_RECORD_MAC)$/)
  }
})

test('TlsConnection takes padded records, and refuses those with nothing but padding', () => {
  using pair = new TlsPair(workloads).run()
  using forger = new RecordForger(pair.client, 'CLIENT_TRAFFIC_SECRET_0', SUITE)
  pair.server.connection.receive(forger.seal(ContentType.application_data, utf8('padded'), 1000))
  assert.equal(toHex(pair.server.received), toHex(utf8('padded')))
  pair.server.connection.receive(forger.seal(0, new Uint8Array(10)))
  assert.deepEqual(pair.server.calls, ['established', 'data 6', 'failed TLS_UNEXPECTED_MESSAGE'])
})

test('TlsConnection takes alerts of exactly two bytes, also those it does not know', () => {
  for (const bytes of [[], [2], [2, 40, 0], [1, 0, 1, 0]]) {
    const end = client()
    end.connection.receive(plainRecord(ContentType.alert, Uint8Array.from(bytes)))
    failed(end, 'TLS_DECODE_ERROR', 'decode_error')
  }
  const told = client()
  told.connection.receive(plainRecord(ContentType.alert, Uint8Array.of(2, 199)))
  failed(told, 'TLS_PEER_ALERT', undefined, /alert 0x00c7$/)
})
