import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { utf8 } from '../../src/bytes/bytes.ts'
import type { HandfastError } from '../../src/errors.ts'
import { runEngine, type SecureConnection, type SecureLimits } from '../../src/net/engine-connection.ts'
import type { Connection } from '../../src/net/transport.ts'
import { TlsError } from '../../src/tls/errors.ts'
import { fakeEngine, type FakeEngineOptions } from '../support/fake-engine.ts'
import { fill, RecordedConnection } from '../support/recorded-connection.ts'
import { connectedPair, TRANSPORTS } from '../support/transports.ts'
import type { Transport } from '../../src/net/transport.ts'

for (const transport of TRANSPORTS) suite(transport)

function suite(transport: Transport): void {
  const LIMITS: SecureLimits = { deadlineMs: 5_000 }

  interface Secured {
    readonly client: SecureConnection
    readonly server: SecureConnection
    readonly raw: { readonly client: Connection; readonly server: Connection }
    readonly failures: HandfastError[]
  }

  async function securePair(t: TestContext): Promise<Secured> {
    const raw = await connectedPair(t, transport)
    const failures: HandfastError[] = []
    const limits = { ...LIMITS, onFailure: (error: HandfastError) => failures.push(error) }
    const [client, server] = await Promise.all([
      runEngine(raw.client, limits, fakeEngine({ role: 'client' })),
      runEngine(raw.server, limits, fakeEngine({ role: 'server' })),
    ])
    return { client, server, raw, failures }
  }

  test(`runEngine resolves on both sides with their sessions and carries data both ways, over ${transport.name}`, async (t) => {
    const { client, server } = await securePair(t)
    assert.deepEqual([client.session.role, server.session.role], ['client', 'server'])
    const [a, b] = [new RecordedConnection(client), new RecordedConnection(server)]
    client.write(utf8('ping'))
    server.write(utf8('pong'))
    await Promise.all([a.received(4), b.received(4)])
    assert.deepEqual([a.text, b.text], ['pong', 'ping'])
  })

  test(`SecureConnection keeps what came before attach, in order, with the end, over ${transport.name}`, async (t) => {
    const { client, server } = await securePair(t)
    client.write(utf8('one'))
    client.write(utf8('two'))
    client.end()
    await new Promise((resolve) => setTimeout(resolve, 50))
    const late = new RecordedConnection(server)
    await late.ended
    assert.equal(late.text, 'onetwo')
  })

  test(`SecureConnection carries half-close: an echo after the end of the other half arrives, over ${transport.name}`, async (t) => {
    const { client, server, failures } = await securePair(t)
    const [a, b] = [new RecordedConnection(client), new RecordedConnection(server)]
    client.write(utf8('request'))
    client.end()
    await b.ended
    server.write(utf8(`echo ${b.text}`))
    server.end()
    assert.deepEqual(await Promise.all([a.closed, b.closed]), [undefined, undefined])
    assert.equal(a.text, 'echo request')
    assert.deepEqual(failures, [])
  })

  test(`SecureConnection reports a bare TCP end as TLS_TRUNCATED and not as an end, over ${transport.name}`, async (t) => {
    const { server, raw, failures } = await securePair(t)
    const b = new RecordedConnection(server)
    raw.client.end()
    const error = await b.closed
    assert.ok(error instanceof TlsError)
    assert.equal(error.code, 'TLS_TRUNCATED')
    assert.ok(!b.events.includes('end'))
    assert.deepEqual(
      failures.map(({ code }) => code),
      ['TLS_TRUNCATED'],
    )
  })

  test(`SecureConnection reports a reset as NET_RESET, also before anyone attached, over ${transport.name}`, async (t) => {
    const { client, server } = await securePair(t)
    client.abort()
    await new Promise((resolve) => setTimeout(resolve, 50))
    const error = await new RecordedConnection(server).closed
    assert.equal(error?.code, 'NET_RESET')
    assert.equal(await new RecordedConnection(client).closed, undefined)
  })

  test(`SecureConnection passes backpressure on in both directions and keeps memory bounded, over ${transport.name}`, async (t) => {
    const { client, server } = await securePair(t)
    const a = new RecordedConnection(client)
    server.pause()
    const b = new RecordedConnection(server, { keep: false })
    const { bytes, drained } = await fill(a)
    assert.ok(b.bytes < 1024 * 1024, `${b.bytes} bytes were delivered to a paused reader`)
    server.resume()
    await Promise.all([drained, b.received(bytes)])
    assert.equal(b.bytes, bytes)
  })

  async function refusal(
    t: TestContext,
    server: FakeEngineOptions,
  ): Promise<{ codes: (string | undefined)[]; received: string | undefined; failures: string[] }> {
    const raw = await connectedPair(t, transport)
    const failures: string[] = []
    const limits = { ...LIMITS, onFailure: (error: HandfastError) => failures.push(error.code) }
    const outcomes = await Promise.allSettled([
      runEngine(raw.client, limits, fakeEngine({ role: 'client' })),
      runEngine(raw.server, limits, fakeEngine(server)),
    ])
    const errors = outcomes.map((outcome) =>
      outcome.status === 'rejected' ? (outcome.reason as TlsError) : undefined,
    )
    return { codes: errors.map((error) => error?.code), received: errors[0]?.received, failures }
  }

  test(`runEngine rejects on both sides when one refuses, and the other reads the alert, over ${transport.name}`, async (t) => {
    const { codes, received, failures } = await refusal(t, { role: 'server', accept: () => false })
    assert.deepEqual(codes, ['TLS_PEER_ALERT', 'TLS_CERTIFICATE_REJECTED'])
    assert.equal(received, 'certificate_unknown')
    assert.equal(failures.length, 2)
  })

  test(`runEngine lets the alert through even when the peer has sent more than was read, over ${transport.name}`, async (t) => {
    const raw = await connectedPair(t, transport)
    const client = new RecordedConnection(raw.client)
    raw.client.write(utf8('GET / HTTP/1.1\r\nhost: x\r\n\r\n'))
    raw.client.write(new Uint8Array(512 * 1024))
    await assert.rejects(runEngine(raw.server, LIMITS, fakeEngine({ role: 'server' })), {
      code: 'TLS_NOT_TLS',
    })
    await client.ended
    assert.match(client.text, /unexpected_message/)
  })

  test(`runEngine cuts a peer that goes on sending after its connection failed, over ${transport.name}`, async (t) => {
    const raw = await connectedPair(t, transport)
    const client = new RecordedConnection(raw.client)
    const flood = setInterval(() => raw.client.write(new Uint8Array(256 * 1024), 'given'), 1)
    t.after(() => clearInterval(flood))
    await assert.rejects(runEngine(raw.server, LIMITS, fakeEngine({ role: 'server' })), {
      code: 'TLS_NOT_TLS',
    })
    const startedMs = performance.now()
    assert.equal((await client.closed)?.code, 'NET_RESET')
    assert.ok(performance.now() - startedMs < 900, 'only the time limit ended the flood')
  })

  test(`runEngine rejects with TLS_HANDSHAKE_TIMEOUT at the deadline, over ${transport.name}`, async (t) => {
    const raw = await connectedPair(t, transport)
    const peer = new RecordedConnection(raw.client)
    await assert.rejects(
      runEngine(raw.server, { deadlineMs: 30 }, fakeEngine({ role: 'server' })),
      (error: TlsError) => error.code === 'TLS_HANDSHAKE_TIMEOUT' && error.message.includes('30 ms'),
    )
    await peer.ended
    assert.match(peer.text, /user_canceled/)
  })

  test(`runEngine rejects when the peer ends or resets in the handshake, over ${transport.name}`, async (t) => {
    const ended = await connectedPair(t, transport)
    ended.client.end()
    await assert.rejects(runEngine(ended.server, LIMITS, fakeEngine({ role: 'server' })), {
      code: 'TLS_HANDSHAKE_TRUNCATED',
    })
    const reset = await connectedPair(t, transport)
    reset.client.abort()
    await assert.rejects(runEngine(reset.server, LIMITS, fakeEngine({ role: 'server' })), {
      code: 'NET_RESET',
    })
  })

  test(`runEngine rejects with what the engine throws for its options, and gives the connection up, over ${transport.name}`, async (t) => {
    const raw = await connectedPair(t, transport)
    const peer = new RecordedConnection(raw.client)
    await assert.rejects(
      runEngine(raw.server, LIMITS, () => {
        throw new TlsError('TLS_BAD_OPTIONS', 'No crypto')
      }),
      { code: 'TLS_BAD_OPTIONS' },
    )
    assert.equal((await peer.closed)?.code, 'NET_RESET')
  })

  test(`SecureConnection does not call data or end after its user aborted in the middle, over ${transport.name}`, async (t) => {
    const { client, server } = await securePair(t)
    for (let i = 0; i < 20; i++) client.write(utf8(`message ${i}`))
    client.end()
    await new Promise((resolve) => setTimeout(resolve, 20))
    const seen: string[] = []
    const closed = new Promise((resolve) => {
      server.attach({
        data: () => {
          seen.push('data')
          server.abort()
        },
        end: () => seen.push('end'),
        drain: () => {},
        closed: resolve,
      })
    })
    assert.equal(await closed, undefined)
    assert.deepEqual(seen, ['data'])
  })
}
