import assert from 'node:assert/strict'
import test from 'node:test'
import { utf8 } from '../../src/bytes/bytes.ts'
import { NetError } from '../../src/net/errors.ts'
import { connectedPair, TRANSPORTS } from '../support/transports.ts'
import type { Transport } from '../../src/net/transport.ts'
import { fill, RecordedConnection } from '../support/recorded-connection.ts'

const TIMEOUT = { timeoutMs: 5_000 }
const LOOPBACK = { host: '127.0.0.1', port: 0 }

for (const transport of TRANSPORTS) suite(transport)

/** What every transport does; each implementation runs all of it. */
function suite(transport: Transport): void {
  const name = `${transport.name}Transport`

  test(`${name} carries bytes both ways and knows both addresses`, async (t) => {
    const { client, server, listener } = await connectedPair(t, transport)
    assert.notEqual(listener.address.port, 0)
    assert.deepEqual(client.remote, listener.address)
    assert.deepEqual(server.local, listener.address)
    assert.deepEqual(server.remote, client.local)
    const [a, b] = [new RecordedConnection(client), new RecordedConnection(server)]
    client.write(utf8('ping'))
    server.write(utf8('pong'))
    await Promise.all([a.received(4), b.received(4)])
    assert.deepEqual([a.text, b.text], ['pong', 'ping'])
  })

  test(`${name} delivers nothing before attach, and then everything, also the end`, async (t) => {
    const { client, server } = await connectedPair(t, transport)
    client.write(utf8('early'))
    client.end()
    await new Promise((resolve) => setTimeout(resolve, 50))
    const late = new RecordedConnection(server)
    assert.deepEqual(late.events, [])
    await late.ended
    assert.equal(late.text, 'early')
  })

  test(`${name} lets each half end by itself and closes without error after both`, async (t) => {
    const { client, server } = await connectedPair(t, transport)
    const [a, b] = [new RecordedConnection(client), new RecordedConnection(server)]
    client.end()
    await b.ended
    server.write(utf8('after your end'))
    server.end()
    assert.deepEqual(await Promise.all([a.closed, b.closed]), [undefined, undefined])
    assert.equal(a.text, 'after your end')
    assert.deepEqual([a.events.at(-1), b.events.at(-1)], ['closed', 'closed'])
  })

  test(`${name} shows an abort to the other side as NET_RESET and never as an end`, async (t) => {
    const { client, server } = await connectedPair(t, transport)
    const [a, b] = [new RecordedConnection(client), new RecordedConnection(server)]
    client.write(utf8('cut'))
    await b.received(3)
    client.abort()
    const error = await b.closed
    assert.ok(error instanceof NetError)
    assert.equal(error.code, 'NET_RESET')
    assert.ok(!b.events.includes('end'))
    assert.equal(await a.closed, undefined)
  })

  for (const [when, moments] of [
    ['with data still buffered', 0],
    ['right after end', 0],
    ['after end has left', 30],
  ] as const) {
    test(`${name} aborts ${when} without hanging`, async (t) => {
      const { client, server } = await connectedPair(t, transport)
      const a = new RecordedConnection(client)
      server.pause()
      const b = new RecordedConnection(server)
      if (when.startsWith('with')) while (client.write(new Uint8Array(1 << 20)));
      client.end()
      await new Promise((resolve) => setTimeout(resolve, moments))
      client.abort()
      assert.equal(await a.closed, undefined)
      server.resume()
      if (moments === 0 && !when.startsWith('right')) assert.ok((await b.closed) instanceof NetError)
    })
  }

  test(`${name} reports backpressure, holds the sender while the reader is paused, and drains`, async (t) => {
    const { client, server } = await connectedPair(t, transport)
    const a = new RecordedConnection(client)
    server.pause()
    const b = new RecordedConnection(server, { keep: false })
    const { bytes, drained } = await fill(a)
    assert.equal(b.bytes, 0)
    server.resume()
    await Promise.all([drained, b.received(bytes)])
    assert.equal(b.bytes, bytes)
  })

  test(`${name} takes lent bytes as they were during the call`, async (t) => {
    const { client, server } = await connectedPair(t, transport)
    server.pause()
    const b = new RecordedConnection(server, { keep: true })
    const a = new RecordedConnection(client)
    const block = new Uint8Array(64 * 1024).fill(0x61)
    let sent = 0
    while (sent < 8 * 1024 * 1024) {
      client.write(block)
      sent += block.length
    }
    block.fill(0x62)
    server.resume()
    await b.received(sent)
    assert.equal(b.text.includes('b'), false)
    assert.ok(a.events.includes('drain'))
  })

  test(`${name} drops writes after the connection has closed`, async (t) => {
    const { client, server } = await connectedPair(t, transport)
    const a = new RecordedConnection(client)
    server.abort()
    await a.closed
    assert.equal(client.write(utf8('nobody')), true)
    client.abort()
    client.end()
  })

  test(`${name} tells a connection that closed before attach`, async (t) => {
    const { client, server } = await connectedPair(t, transport)
    server.abort()
    client.write(utf8('x'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    const closed = await new RecordedConnection(client).closed
    assert.ok(closed instanceof NetError)
    assert.equal(closed.code, 'NET_RESET')
  })

  test(`${name} refuses to listen where another listens, with NET_ADDRESS_IN_USE and the address`, async (t) => {
    const { listener } = await connectedPair(t, transport)
    await assert.rejects(
      transport.listen(listener.address, (connection) => connection.abort()),
      (error: NetError) =>
        error.code === 'NET_ADDRESS_IN_USE' && error.message.includes(`:${listener.address.port}`),
    )
  })

  test(`${name} refuses to listen on an address that is not ours`, async () => {
    await assert.rejects(
      transport.listen({ host: '192.0.2.1', port: 0 }, (connection) => connection.abort()),
      { code: 'NET_ADDRESS_UNAVAILABLE' },
    )
  })

  test(`${name} frees the port on close and lets accepted connections live`, async (t) => {
    const { client, server, listener } = await connectedPair(t, transport)
    await listener.close()
    await assert.rejects(transport.connect(listener.address, TIMEOUT), { code: 'NET_CONNECTION_REFUSED' })
    const again = await transport.listen(listener.address, (connection) => connection.abort())
    await again.close()
    const b = new RecordedConnection(server)
    client.write(utf8('still here'))
    await b.received(10)
  })

  test(`${name} fails to connect with NET_CONNECTION_REFUSED where nobody listens`, async () => {
    const listener = await transport.listen(LOOPBACK, (connection) => connection.abort())
    await listener.close()
    await assert.rejects(transport.connect(listener.address, TIMEOUT), { code: 'NET_CONNECTION_REFUSED' })
  })

  test(`${name} fails to connect with NET_CANCELLED when called off`, async () => {
    await assert.rejects(
      transport.connect({ host: '127.0.0.1', port: 9 }, { ...TIMEOUT, signal: AbortSignal.abort() }),
      { code: 'NET_CANCELLED' },
    )
  })
}
