import assert from 'node:assert/strict'
import test from 'node:test'
import { utf8 } from '../../src/bytes/bytes.ts'
import type { CertificateVerifier } from '../../src/pki/verifier.ts'
import { TlsError } from '../../src/tls/errors.ts'
import { ContentType } from '../../src/tls/registry.ts'
import { splitRecords } from '../support/tls-records.ts'
import { TlsPair, type TlsEnd, type TlsPairOptions } from '../support/tls-pair.ts'
import { mintWorkloads, verifierFor } from '../support/tls-workloads.ts'

const workloads = await mintWorkloads()

function established(options: TlsPairOptions = {}): TlsPair {
  const pair = new TlsPair(workloads, options).run()
  assert.deepEqual([pair.client.calls, pair.server.calls], [['established'], ['established']])
  return pair
}

function text(end: TlsEnd): string {
  return new TextDecoder().decode(end.received)
}

test('TlsConnection carries data of every awkward size both ways', () => {
  for (const size of [1, 2, 16_383, 16_384, 16_385, 32_768, 100_000]) {
    using pair = established()
    const data = Uint8Array.from({ length: size }, (_, i) => i % 251)
    pair.client.connection.send(data)
    pair.server.connection.send(data)
    pair.pump()
    assert.deepEqual([pair.client.received, pair.server.received], [data, data])
  }
})

test('TlsConnection sends nothing for empty data', () => {
  using pair = established()
  pair.client.connection.send(new Uint8Array(0))
  assert.equal(pair.client.take().length, 0)
})

test('TlsConnection closes each half by itself and carries data on the other', () => {
  using pair = established()
  const { client, server } = pair
  client.connection.send(utf8('request'))
  client.connection.close()
  pair.pump()
  assert.deepEqual(server.calls, ['established', 'data 7', 'peerClosed'])
  assert.throws(() => client.connection.send(utf8('more')), { code: 'TLS_MISUSE' })
  server.connection.send(utf8('answer'))
  pair.pump()
  assert.equal(text(client), 'answer')
  server.connection.close()
  pair.pump()
  assert.deepEqual(client.calls, ['established', 'data 6', 'peerClosed'])
  client.connection.receiveEnd()
  server.connection.receiveEnd()
  assert.deepEqual([client.error, server.error], [undefined, undefined])
})

test('TlsConnection ignores what comes after close_notify', () => {
  const { client, server } = established()
  server.connection.send(utf8('before'))
  const before = server.take()
  server.connection.close()
  const close = server.take()
  client.connection.receive(before)
  client.connection.receive(close)
  client.connection.receive(utf8('anything at all'))
  assert.deepEqual(client.calls, ['established', 'data 6', 'peerClosed'])
})

test('TlsConnection takes close_notify and what precedes it from one delivery, and nothing behind it', () => {
  const { client, server } = established()
  server.connection.send(utf8('last'))
  server.connection.close()
  const stream = new Uint8Array([...server.take(), ...utf8('GET / HTTP/1.1')])
  client.connection.receive(stream)
  assert.deepEqual(client.calls, ['established', 'data 4', 'peerClosed'])
})

test('TlsConnection closes twice without a second close_notify', () => {
  using pair = established()
  pair.client.connection.close()
  assert.ok(pair.client.take().length > 0)
  pair.client.connection.close()
  assert.equal(pair.client.take().length, 0)
})

test('TlsConnection reports the end of the transport without close_notify as a truncation, saying when', () => {
  using pair = established()
  pair.client.connection.send(utf8('part'))
  pair.pump()
  pair.server.connection.receiveEnd()
  assert.deepEqual(pair.server.calls, ['established', 'data 4', 'failed TLS_TRUNCATED'])
  assert.equal(pair.server.take().length, 0)

  const early = new TlsPair(workloads).start()
  early.server.connection.receiveEnd()
  assert.match(early.server.error!.message, /before the peer said anything/)
  early.client.take()
  const begun = new TlsPair(workloads).start()
  begun.server.connection.receive(begun.client.take())
  begun.server.connection.receiveEnd()
  assert.deepEqual(begun.server.calls, ['failed TLS_HANDSHAKE_TRUNCATED'])
  assert.match(begun.server.error!.message, /in the middle of the handshake/)
})

test('TlsConnection refuses a close in the middle of the handshake', () => {
  const pair = new TlsPair(workloads).start()
  pair.client.connection.close()
  pair.pump()
  assert.deepEqual([pair.client.calls, pair.server.calls], [[], ['failed TLS_HANDSHAKE_TRUNCATED']])
})

test('TlsConnection updates keys in either direction, asked or not, while data goes on', () => {
  for (const requestPeer of [false, true]) {
    using pair = established()
    const { client, server } = pair
    for (let round = 0; round < 3; round++) {
      for (const end of pair.ends) {
        end.connection.send(utf8('a'))
        end.connection.updateKeys({ requestPeer })
        end.connection.send(utf8('b'))
      }
      pair.pump()
    }
    assert.deepEqual([text(client), text(server)], ['ababab', 'ababab'])
    assert.deepEqual([client.error, server.error], [undefined, undefined])
    const updates = client.trace.filter((event) => event.kind === 'message' && event.type === 'key_update')
    assert.ok(updates.length >= 6)
  }
})

test('TlsConnection cuts off a peer that updates its key over and over', () => {
  using pair = established()
  const { client, server } = pair
  for (let i = 0; i < 32; i++) client.connection.updateKeys({ requestPeer: false })
  pair.pump()
  client.connection.send(utf8('means it'))
  for (let i = 0; i < 32; i++) client.connection.updateKeys({ requestPeer: false })
  pair.pump()
  assert.equal(server.error, undefined)
  client.connection.updateKeys({ requestPeer: false })
  pair.pump()
  assert.equal(server.error!.code, 'TLS_FLOOD')
  assert.equal(client.error!.received, 'unexpected_message')
})

test('TlsConnection sends nothing after its close_notify, also when the peer asks for a new key', () => {
  using pair = established()
  pair.client.connection.close()
  pair.pump()
  pair.server.connection.updateKeys({ requestPeer: true })
  pair.server.connection.send(utf8('still here'))
  pair.client.connection.receive(pair.server.take())
  assert.equal(pair.client.take().length, 0)
  assert.equal(text(pair.client), 'still here')
})

test('TlsConnection comes to the same outcome however its bytes are cut', () => {
  const recorded = established()
  recorded.client.connection.send(utf8('hello'))
  const length = recorded.client.take().length
  for (let at = 1; at < 64; at++) checkCut((bytes) => cutAt(bytes, [at]))
  for (let at = 64; at < length + 4096; at += 61) checkCut((bytes) => cutAt(bytes, [at, at + 1]))
  checkCut((bytes) => Array.from(bytes, (byte) => Uint8Array.of(byte)))
})

function checkCut(cut: (bytes: Uint8Array) => Uint8Array[]): void {
  using pair = new TlsPair(workloads).run((_from, bytes) => cut(bytes))
  for (const { connection } of pair.ends) connection.send(utf8('hello'))
  for (const { connection } of pair.ends) connection.close()
  pair.pump((_from, bytes) => cut(bytes))
  for (const { calls } of pair.ends) assert.deepEqual(calls, ['established', 'data 5', 'peerClosed'])
}

function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let from = 0
  for (const place of [...places, bytes.length]) {
    if (place > from) pieces.push(bytes.slice(from, place))
    from = Math.max(from, place)
  }
  return pieces
}

test('TlsConnection takes the Finished and the first data of a client from one delivery', () => {
  using pair = new TlsPair(workloads).start()
  pair.server.connection.receive(pair.client.take())
  pair.client.connection.receive(pair.server.take())
  pair.client.connection.send(utf8('eager'))
  pair.client.connection.close()
  pair.server.connection.receive(pair.client.take())
  assert.deepEqual(pair.server.calls, ['established', 'data 5', 'peerClosed'])
})

test('TlsConnection is established on neither side before that side has verified the other', () => {
  const order: string[] = []
  const noting = (name: string): CertificateVerifier => ({
    verify(chain, context) {
      const peer = verifierFor(workloads).verify(chain, context)
      order.push(`${name} verified ${peer.name.split('/').at(-1)} as ${context.peerRole}`)
      return peer
    },
  })
  const pair = new TlsPair(workloads, {
    client: { verifier: noting('client') },
    server: { clientVerifier: noting('server') },
  }).start()
  pair.server.connection.receive(pair.client.take())
  const flight = splitRecords(pair.server.take())
  for (const record of flight) {
    pair.client.connection.receive(record)
    order.push(`client ${pair.client.calls.join() || 'waits'}`)
  }
  for (const record of splitRecords(pair.client.take())) {
    pair.server.connection.receive(record)
    order.push(`server ${pair.server.calls.join() || 'waits'}`)
  }
  // Each verifies first, and is established then.
  assert.deepEqual(
    order.filter((line) => !line.endsWith('waits')),
    [
      'client verified orders as server',
      'client established',
      'server verified web as client',
      'server established',
    ],
  )
})

test('TlsConnection sends no application data, and refuses to, before it is established', () => {
  const pair = new TlsPair(workloads).start()
  const refuse = (): void => {
    for (const { connection, session } of pair.ends) {
      if (session !== undefined) continue
      assert.throws(() => connection.send(utf8('early')), { code: 'TLS_MISUSE' })
      assert.throws(() => connection.updateKeys({ requestPeer: false }), { code: 'TLS_MISUSE' })
    }
  }
  refuse()
  pair.pump((_from, bytes) => {
    refuse()
    return [bytes]
  })
  assert.deepEqual([pair.client.calls, pair.server.calls], [['established'], ['established']])
})

test('TlsConnection starts once', () => {
  const { client } = new TlsPair(workloads).start()
  assert.throws(() => client.connection.start(), { code: 'TLS_MISUSE' })
})

test('TlsConnection tells its misconfiguration on start', () => {
  const bad: readonly TlsPairOptions[] = [
    { client: { groups: [] } },
    { client: { suites: [] } },
    { client: { alpn: [''] } },
    { client: { alpn: ['a'.repeat(256)] } },
    { client: { serverName: '' } },
    { client: { serverName: 'a'.repeat(300) } },
    { client: { serverName: 'müller.example' } },
    { client: { alpn: ['日本'] } },
  ]
  for (const options of bad) {
    const { client } = new TlsPair(workloads, options)
    assert.throws(() => client.connection.start(), { code: 'TLS_BAD_OPTIONS' }, JSON.stringify(options))
    assert.equal(client.take().length, 0)
  }
})

test('TlsConnection fails from outside with the alert of the reason', () => {
  const pair = established()
  pair.server.connection.fail(new TlsError('TLS_HANDSHAKE_TIMEOUT', 'Too slow'))
  assert.deepEqual(pair.server.calls, ['established', 'failed TLS_HANDSHAKE_TIMEOUT'])
  pair.server.connection.fail(new TlsError('TLS_HANDSHAKE_TIMEOUT', 'Too slow'))
  assert.equal(pair.server.calls.length, 2)
})

test('TlsConnection ends its work where a handler throws, and says so to the peer', () => {
  const pair = established()
  const failing = new Error('The application broke')
  const { client, server } = pair
  server.connection.send(utf8('x'))
  const push = client.calls.push.bind(client.calls)
  client.calls.push = (...items) => {
    if (items[0]!.startsWith('data')) throw failing
    return push(...items)
  }
  pair.pump()
  assert.equal(client.error!.code, 'TLS_INTERNAL')
  assert.equal(client.error!.cause, failing)
  assert.equal(server.error!.received, 'internal_error')
})

test('TlsConnection answers a plain record of every unknown type with a failure', () => {
  for (const type of [0, 19, 24, 25, 255, ContentType.application_data]) {
    const pair = new TlsPair(workloads).start()
    pair.client.connection.receive(Uint8Array.of(type, 3, 3, 0, 1, 0))
    assert.equal(pair.client.calls.length, 1)
    assert.match(pair.client.calls[0]!, /^failed TLS_(NOT_TLS|UNEXPECTED_MESSAGE)$/)
  }
})
