/** What the options of an endpoint limit and choose beside the suites, groups and credentials. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { TlsError } from '../../src/tls/errors.ts'
import { decodeEncryptedExtensions } from '../../src/tls/messages/encrypted-extensions.ts'
import { Extensions } from '../../src/tls/messages/extensions.ts'
import { asMessage, MessageAssembler } from '../../src/tls/messages/handshake-message.ts'
import { decodeNewSessionTicket, encodeNewSessionTicket } from '../../src/tls/messages/post-handshake.ts'
import type { Credential } from '../../src/tls/options.ts'
import { RECORD_HEADER_BYTES, RecordOpener } from '../../src/tls/record/protection.ts'
import { ExtensionType, HandshakeType, isGrease, type CipherSuiteName } from '../../src/tls/registry.ts'
import { clientTickets } from '../../src/tls/session/client-tickets.ts'
import { makeTicketKey, sealedTickets } from '../../src/tls/session/sealed-tickets.ts'
import { assertEstablished, assertRefused, established } from '../support/tls-outcome.ts'
import { TlsPair } from '../support/tls-pair.ts'
import { splitRecords, suiteNamed } from '../support/tls-records.ts'
import { mintWorkloads, verifierFor } from '../support/tls-workloads.ts'

const crypto = nativeCrypto()
const workloads = await mintWorkloads()

test('maxSentRecordBytes caps the records of the handshake and of data', () => {
  const lengths: number[] = []
  const wire = (from: string, bytes: Uint8Array): Uint8Array[] => {
    if (from === 'server')
      for (let at = 0; at < bytes.length; at += 5 + ((bytes[at + 3]! << 8) | bytes[at + 4]!))
        lengths.push((bytes[at + 3]! << 8) | bytes[at + 4]!)
    return [bytes]
  }
  using pair = new TlsPair(workloads, { server: { maxSentRecordBytes: 200 } }).run(wire)
  assertEstablished(pair)
  const flight = lengths.length
  assert.ok(flight > 4, 'The flight of a server takes several records')
  pair.server.connection.send(new Uint8Array(1000))
  pair.pump(wire)
  assert.equal(pair.client.received.length, 1000)
  assert.equal(lengths.length - flight, 5)
  // A ServerHello is plaintext; all else has its content type and a tag of 16 bytes.
  for (const length of lengths) assert.ok(length <= 217)
  assert.ok(lengths.includes(217))
})

test('maxSentRecordBytes gives way to a peer that takes less still', () => {
  using pair = established(workloads, {
    server: { maxSentRecordBytes: 500 },
    client: { maxRecordBytes: 100 },
  })
  pair.server.connection.send(new Uint8Array(300))
  const bytes = pair.server.take()
  assert.equal((bytes[3]! << 8) | bytes[4]!, 117)
})

test('maxCertificates and maxMessageBytes are what a peer is held to', () => {
  const { chain, key } = workloads.server
  const long: Credential = { key, chain: [chain[0]!, ...Array.from({ length: 11 }, () => chain.at(-1)!)] }
  const client = { verifier: verifierFor(workloads) }
  using refused = new TlsPair(workloads, { client, server: { credential: long } }).run()
  assertRefused(refused, 'client', {
    code: 'TLS_DECODE_ERROR',
    alert: 'decode_error',
    evidence: /more than 10 certificates/,
  })
  using short = new TlsPair(workloads, { client: { ...client, maxCertificates: 1 } }).run()
  assert.match(
    short.client.error?.message ?? 'established',
    chain.length > 1 ? /more than 1 cert/ : /established/,
  )
  const anyone = { verify: () => ({ name: 'anyone', expiresAtMs: 2 ** 48, path: [] }) }
  using taken = new TlsPair(workloads, {
    client: { verifier: anyone, maxCertificates: 12 },
    server: { credential: long },
  }).run()
  assertEstablished(taken)
  using large = new TlsPair(workloads, { client: { maxMessageBytes: 256 } }).run()
  assertRefused(large, 'client', {
    code: 'TLS_MESSAGE_TOO_LONG',
    alert: 'illegal_parameter',
    evidence: /^server_hello announces \d+ bytes, at most 256 are accepted/,
  })
})

test('options that no connection can be held to are refused at the start', () => {
  for (const client of [
    { maxSentRecordBytes: 63 },
    { maxSentRecordBytes: 16_385 },
    { maxCertificates: 0 },
    { maxMessageBytes: 1.5 },
    { maxMessageBytes: 2 ** 24 },
  ])
    assert.throws(() => new TlsPair(workloads, { client }).start(), { code: 'TLS_BAD_OPTIONS' })
})

test('a credential that the wire cannot carry is refused before anybody asks for it', () => {
  const { chain, key } = workloads.server
  const cases: readonly [Credential, RegExp][] = [
    [{ key, chain: [] }, /chain of a credential is empty/],
    [
      { key, chain, signedCertificateTimestamps: Uint8Array.of(0, 0) },
      /^signedCertificateTimestamps .* malformed/,
    ],
  ]
  for (const [credential, message] of cases) {
    assert.throws(() => new TlsPair(workloads, { server: { credential } }).start(), {
      code: 'TLS_BAD_OPTIONS',
      message,
    })
    using later = new TlsPair(workloads, { server: { credential: () => credential } }).run()
    assertRefused(later, 'server', { code: 'TLS_BAD_OPTIONS', alert: 'internal_error', evidence: message })
  }
})

const RESUMABLE = ['TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'] as const

test('TlsConnection as server gives ChaCha20 to clients that prefer it, and its own preference to others', () => {
  const rows: readonly (readonly [
    readonly CipherSuiteName[],
    readonly CipherSuiteName[],
    CipherSuiteName,
  ])[] = [
    [['TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'], RESUMABLE, 'TLS_CHACHA20_POLY1305_SHA256'],
    [['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'], RESUMABLE, 'TLS_CHACHA20_POLY1305_SHA256'],
    [
      ['TLS_AES_256_GCM_SHA384', 'TLS_AES_128_GCM_SHA256'],
      ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384'],
      'TLS_AES_128_GCM_SHA256',
    ],
    [
      ['TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
      ['TLS_AES_128_GCM_SHA256'],
      'TLS_AES_128_GCM_SHA256',
    ],
  ]
  for (const [offered, accepted, expected] of rows) {
    using pair = established(workloads, { client: { suites: offered }, server: { suites: accepted } })
    assert.equal(pair.server.session!.cipherSuite, expected)
  }
})

test('sameSuite binds a ticket to the suite of its connection', () => {
  for (const sameSuite of [false, true]) {
    const tickets = clientTickets()
    const current = makeTicketKey(crypto)
    const policy = { store: sealedTickets(crypto, () => ({ current })), sameSuite }
    const visit = (suite: CipherSuiteName): boolean => {
      using pair = established(workloads, {
        client: { tickets, suites: RESUMABLE },
        server: { tickets: policy, suites: [suite] },
      })
      return pair.server.session!.resumed
    }
    assert.equal(visit('TLS_CHACHA20_POLY1305_SHA256'), false)
    assert.equal(visit('TLS_AES_128_GCM_SHA256'), !sameSuite)
  }
})

test('chooseAlpn chooses the protocol for each client, at once or later', async () => {
  for (const later of [false, true]) {
    const asked: unknown[] = []
    using pair = new TlsPair(workloads, {
      client: { alpn: ['h2', 'http/1.1'], serverName: 'orders.shop.example', verifier: anyVerifier },
      server: {
        alpn: ['h2'],
        chooseAlpn: (...question) => {
          asked.push(question)
          return later ? turn('http/1.1') : 'http/1.1'
        },
      },
    }).run()
    await turn()
    assertEstablished(pair.pump())
    assert.deepEqual(asked, [[['h2', 'http/1.1'], 'orders.shop.example']])
    assert.deepEqual([pair.client.session!.alpn, pair.server.session!.alpn], ['http/1.1', 'http/1.1'])
  }
})

const anyVerifier = { verify: () => ({ name: 'anyone', expiresAtMs: 2 ** 48, path: [] }) }

test('chooseAlpn may go on without a protocol, refuse, or fail', () => {
  const visit = (chooseAlpn: () => string | undefined): TlsPair =>
    new TlsPair(workloads, { client: { alpn: ['h2'] }, server: { chooseAlpn } }).run()
  assert.equal(assertEstablished(visit(() => undefined)).client.session!.alpn, undefined)
  const refused = visit(() => {
    throw new TlsError('TLS_NO_APPLICATION_PROTOCOL', 'Nothing for you')
  })
  assertRefused(refused, 'server', {
    code: 'TLS_NO_APPLICATION_PROTOCOL',
    alert: 'no_application_protocol',
    evidence: /Nothing for you/,
  })
  assertRefused(
    visit(() => ''),
    'server',
    {
      code: 'TLS_BAD_OPTIONS',
      alert: 'internal_error',
      evidence: /expected a name of 1 to 255/,
    },
  )
  assertRefused(
    visit(() => 'h3'),
    'client',
    {
      code: 'TLS_ILLEGAL_PARAMETER',
      alert: 'illegal_parameter',
      evidence: /expected one that was offered/,
    },
  )
})

test('acceptUnofferedAlpn takes what a server chooses on its own', () => {
  using pair = established(workloads, {
    client: { alpn: ['h2'], acceptUnofferedAlpn: true },
    server: { chooseAlpn: () => 'h3' },
  })
  assert.deepEqual([pair.client.session!.alpn, pair.server.session!.alpn], ['h3', 'h3'])
})

test('acknowledgeServerName says whether the name chose the certificate, and changes nothing else', () => {
  for (const acknowledgeServerName of [true, false]) {
    let acknowledged: boolean | undefined
    using pair = established(workloads, {
      client: { serverName: 'orders.shop.example', verifier: anyVerifier },
      server: { acknowledgeServerName },
      rewriteServer: (message) => {
        if (message[0] === HandshakeType.encrypted_extensions)
          acknowledged = decodeEncryptedExtensions(asMessage(message).body).has(ExtensionType.server_name)
        return message
      },
    })
    assert.equal(acknowledged, acknowledgeServerName)
    assert.equal(pair.server.session!.serverName, 'orders.shop.example')
  }
})

test('grease puts an extension that means nothing into each ticket, unless it is off', () => {
  for (const grease of [true, false]) {
    const records: Uint8Array[] = []
    const current = makeTicketKey(crypto)
    using pair = new TlsPair(workloads, {
      client: { tickets: clientTickets() },
      server: { grease, tickets: { store: sealedTickets(crypto, () => ({ current })) } },
    }).run((from, bytes) => {
      if (from === 'server') records.push(...splitRecords(bytes.slice()))
      return [bytes]
    })
    assertEstablished(pair)
    using opener = new RecordOpener(
      crypto,
      suiteNamed(pair.server.session!.cipherSuite),
      pair.server.secret('SERVER_TRAFFIC_SECRET_0'),
    )
    // Nothing but tickets has gone under these keys.
    const assembler = new MessageAssembler()
    const record = records.at(-1)!
    const content = record.subarray(RECORD_HEADER_BYTES)
    assembler.push(content.subarray(0, opener.open(record, content, content)))
    for (let count = 0; count < 2; count++) {
      const { extensions } = decodeNewSessionTicket(assembler.take()!.body)
      assert.equal(extensions.types.filter(isGrease).length, grease ? 1 : 0)
    }
    assert.ok(assembler.isEmpty)
  }
})

test('tls_flags of a ticket hold the fewest bytes that their flags need', () => {
  const read = (contents: string): ReadonlySet<number> | undefined =>
    decodeNewSessionTicket(ticketWith(Uint8Array.fromHex(contents))).extensions.value('tls_flags')
  assert.deepEqual([...read('0102')!], [1])
  assert.deepEqual([...read('03010080')!], [0, 23])
  assert.throws(() => read('00'), { code: 'BYTES_LENGTH' })
  assert.throws(() => read('020100'), { code: 'TLS_ILLEGAL_PARAMETER', message: /^tls_flags/ })
  assert.throws(() => read('0101ff'), { code: /^BYTES/ })
  const flags = new Set([1, 31, 100, 2039])
  const written = new Extensions('new_session_ticket').add('tls_flags', flags)
  assert.deepEqual(read(written.contents(ExtensionType.tls_flags)!.toHex()), flags)
})

function ticketWith(flags: Uint8Array): Uint8Array {
  const extensions = new Extensions('new_session_ticket').addUnknown(ExtensionType.tls_flags, flags)
  return asMessage(
    encodeNewSessionTicket({
      lifetimeSeconds: 1,
      ageAdd: 0,
      nonce: new Uint8Array(1),
      ticket: utf8('ticket'),
      extensions,
    }),
  ).body
}
