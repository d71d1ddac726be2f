import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { decodeClientHello } from '../../src/tls/messages/client-hello.ts'
import { ExtensionType } from '../../src/tls/registry.ts'
import { TlsPair, type TlsPairOptions } from '../support/tls-pair.ts'
import { mintWorkloads, NOW_MS } from '../support/tls-workloads.ts'

const crypto = nativeCrypto()
const workloads = await mintWorkloads()
const RECORD_OVERHEAD = 5 + 1 + 16

function open(options: TlsPairOptions): TlsPair {
  const pair = new TlsPair(workloads, options).run()
  assert.deepEqual(
    pair.ends.map(({ calls }) => calls[0]),
    ['established', 'established'],
  )
  return pair
}

/** The lengths of the plaintexts, padding included, in the records of `bytes`. */
function recordLengths(bytes: Uint8Array): number[] {
  const lengths: number[] = []
  for (let at = 0; at < bytes.length;) {
    const length = (bytes[at + 3]! << 8) | bytes[at + 4]!
    lengths.push(length + 5 - RECORD_OVERHEAD)
    at += 5 + length
  }
  return lengths
}

test('TlsConnection keeps each side to the record size that the other asked for', () => {
  using pair = open({ client: { maxRecordBytes: 512 }, server: { maxRecordBytes: 1000 } })
  pair.client.connection.send(new Uint8Array(2500))
  assert.deepEqual(recordLengths(pair.client.take()), [1000, 1000, 500])
  pair.server.connection.send(new Uint8Array(1200))
  const answer = pair.server.take()
  assert.deepEqual(recordLengths(answer), [512, 512, 176])
  pair.client.connection.receive(answer)
  assert.equal(pair.client.received.length, 1200)
})

test('TlsConnection refuses a record that is longer than it asked for', () => {
  const withoutLimit = (message: Uint8Array): Uint8Array => message
  using pair = open({ client: { maxRecordBytes: 512 }, rewriteServer: withoutLimit })
  pair.server.connection.send(new Uint8Array(512))
  pair.pump()
  assert.equal(pair.client.received.length, 512)
  assert.throws(() => open({ client: { maxRecordBytes: 63 } }), { code: 'TLS_BAD_OPTIONS' })
})

test('TlsConnection pads records to whole blocks, and readers see no difference', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40_000 }),
      fc.constantFrom(16, 100, 1024, 16_384),
      (length, block) => {
        using pair = open({ client: { paddingBlockBytes: block } })
        pair.client.connection.send(new Uint8Array(length).fill(7))
        const sent = pair.client.take()
        for (const padded of recordLengths(sent)) assert.ok(padded % block === 0 || padded === 16_384)
        pair.server.connection.receive(sent)
        assert.deepEqual(pair.server.received, new Uint8Array(length).fill(7))
      },
    ),
    { numRuns: 25 },
  )
})

test('TlsConnection begins each burst with records of one segment, when asked to', () => {
  let nowMs = NOW_MS
  using pair = open({ client: { smallFirstRecords: true, nowMs: () => nowMs } })
  const { connection } = pair.client
  connection.send(new Uint8Array(150_000))
  const first = recordLengths(pair.client.take())
  assert.equal(first[0], 1369)
  assert.equal(first.at(-2), 16_384)
  assert.equal(
    first.reduce((sum, length) => sum + length, 0),
    150_000,
  )
  connection.send(new Uint8Array(20_000))
  assert.equal(recordLengths(pair.client.take())[0], 16_384)
  nowMs += 1001
  connection.send(new Uint8Array(20_000))
  assert.equal(recordLengths(pair.client.take())[0], 1369)
})

test('TlsConnection as client sends meaningless values and a random order, unless told not to', () => {
  const orders = new Set<string>()
  for (let i = 0; i < 8; i++) {
    using pair = new TlsPair(workloads)
    pair.start()
    const hello = decodeClientHello(pair.client.take().subarray(9))
    const types = hello.extensions.types
    const meaningless = types.filter((type) => (type & 0x0f0f) === 0x0a0a)
    assert.equal(new Set(meaningless).size, 2)
    assert.equal(hello.cipherSuites[0]! & 0x0f0f, 0x0a0a)
    assert.equal(hello.extensions.value('supported_groups')![0]! & 0x0f0f, 0x0a0a)
    orders.add(types.filter((type) => (type & 0x0f0f) !== 0x0a0a).join())
  }
  assert.ok(orders.size > 1)
  using plain = new TlsPair(workloads, { client: { grease: false } })
  plain.start()
  const { types } = decodeClientHello(plain.client.take().subarray(9)).extensions
  assert.deepEqual(types, [
    ExtensionType.supported_groups,
    ExtensionType.signature_algorithms,
    ExtensionType.supported_versions,
    ExtensionType.key_share,
  ])
})

test('TlsConnection as server goes on from a cookie where another replica sent it', () => {
  const cookieKey = crypto.random(32)
  const options: TlsPairOptions = {
    client: { groups: ['x25519', 'secp256r1'] },
    server: { groups: ['secp256r1'], cookieKey },
  }
  using first = new TlsPair(workloads, options).start()
  first.server.connection.receive(first.client.take())
  first.client.connection.receive(first.server.take())
  const secondHello = first.client.take()

  using replica = new TlsPair(workloads, options)
  replica.server.connection.start()
  replica.server.connection.receive(secondHello)
  first.client.connection.receive(replica.server.take())
  replica.server.connection.receive(first.client.take())
  assert.deepEqual([first.client.calls, replica.server.calls], [['established'], ['established']])

  using stranger = new TlsPair(workloads, {
    ...options,
    server: { ...options.server, cookieKey: crypto.random(32) },
  })
  stranger.server.connection.start()
  using again = new TlsPair(workloads, options).start()
  again.server.connection.receive(again.client.take())
  again.client.connection.receive(again.server.take())
  stranger.server.connection.receive(again.client.take())
  assert.equal(stranger.server.error?.code, 'TLS_ILLEGAL_PARAMETER')
})
