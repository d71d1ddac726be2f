import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { utf8 } from '../../src/bytes/bytes.ts'
import type { Connection, Transport } from '../../src/net/transport.ts'
import { fill, RecordedConnection } from '../support/recorded-connection.ts'
import { connectedPair, TRANSPORTS } from '../support/transports.ts'

const TIMEOUT = { timeoutMs: 5_000 }
const LOOPBACK = { host: '127.0.0.1', port: 0 }

/** Long enough for an event to have come if there were one. */
const MOMENT_MS = 30

for (const transport of TRANSPORTS) suite(transport)

/** Peers and users that are slow, rude, gone or too many. */
function suite(transport: Transport): void {
  const name = `${transport.name}Transport`

  test(`${name} carries ten thousand writes of one byte in order`, async (t) => {
    const { client, server } = await connectedPair(t, transport)
    const b = new RecordedConnection(server)
    const a = new RecordedConnection(client)
    let expected = ''
    for (let i = 0; i < 10_000; i++) {
      const text = String.fromCharCode(0x61 + (i % 26))
      expected += text
      const room = a.drained()
      if (!client.write(utf8(text))) await room
    }
    await b.received(expected.length)
    assert.equal(b.text, expected)
  })

  test(`${name} lets a reader that does not read disturb nobody else`, async (t) => {
    const stuck = await connectedPair(t, transport)
    stuck.server.pause()
    const stuckReader = new RecordedConnection(stuck.server, { keep: false })
    const { bytes } = await fill(new RecordedConnection(stuck.client))
    const { client, server } = await connectedPair(t, transport)
    const [a, b] = [new RecordedConnection(client), new RecordedConnection(server)]
    for (let i = 1; i <= 50; i++) {
      client.write(utf8('ping'))
      await b.received(4 * i)
      server.write(utf8('pong'))
      await a.received(4 * i)
    }
    assert.equal(stuckReader.bytes, 0)
    stuck.server.resume()
    await stuckReader.received(bytes)
  })

  test(`${name} delivers what came before a reset to a reader that was paused, and then NET_RESET`, async (t) => {
    const { client, server } = await connectedPair(t, transport)
    server.pause()
    const b = new RecordedConnection(server)
    client.write(utf8('last words'))
    await delay(MOMENT_MS)
    client.abort()
    await delay(MOMENT_MS)
    assert.equal(b.events.length, 0)
    server.resume()
    assert.equal((await b.closed)?.code, 'NET_RESET')
    assert.equal(b.text, 'last words')
    assert.ok(!b.events.includes('end'))
  })

  test(`${name} reports a reset to a writer that does not read`, async (t) => {
    const { client, server } = await connectedPair(t, transport)
    client.pause()
    const a = new RecordedConnection(client)
    await fill(a)
    server.abort()
    assert.equal((await a.closed)?.code, 'NET_RESET')
  })

  test(`${name} lets a user do anything from inside its handlers`, async (t) => {
    for (const act of ['abort', 'end', 'pause'] as const) {
      const { client, server } = await connectedPair(t, transport)
      const closed = Promise.withResolvers<void>()
      server.attach({
        data: () => server[act](),
        end: () => {
          server.end()
          server.abort()
          server.end()
        },
        drain: () => undefined,
        closed: () => closed.resolve(),
      })
      const a = new RecordedConnection(client)
      client.write(utf8('go'))
      await delay(MOMENT_MS)
      client.end()
      if (act === 'pause') server.resume()
      await Promise.all([closed.promise, a.closed])
    }
  })

  test(`${name} tells that the process at the other end was killed`, async () => {
    const accepted = Promise.withResolvers<Connection>()
    const listener = await transport.listen(LOOPBACK, accepted.resolve)
    const script = `const s = require('node:net').connect(${listener.address.port}, '127.0.0.1');
      s.write('alive'); s.on('error', () => {}); setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' })
    const server = new RecordedConnection(await accepted.promise)
    await server.received(5)
    // What the other side does not read makes the kernel end the connection with a reset.
    server.connection.write(new Uint8Array(1024))
    child.kill('SIGKILL')
    await once(child, 'exit')
    await Promise.race([server.closed, server.ended])
    server.connection.abort()
    await server.closed
    await listener.close()
  })

  test(`${name} survives a flood of connections that say nothing, within its limit`, async () => {
    const held = new Set<Connection>()
    const accept = (connection: Connection): void => {
      held.add(connection)
      connection.attach({
        data: (bytes) => connection.write(bytes),
        end: () => connection.end(),
        drain: () => undefined,
        closed: () => held.delete(connection),
      })
    }
    const before = readdirSync('/proc/self/fd').length
    const listener = await transport.listen(LOOPBACK, accept, { maxConnections: 100 })
    const flood = await Promise.allSettled(
      Array.from(
        { length: 400 },
        async () => new RecordedConnection(await transport.connect(listener.address, TIMEOUT)),
      ),
    )
    while (listener.refused < 300) await delay(1)
    assert.equal(listener.open, 100)
    assert.equal(held.size, 100)
    for (const one of flood) if (one.status === 'fulfilled') one.value.connection.abort()
    while (listener.open > 0) await delay(1)
    const honest = new RecordedConnection(await transport.connect(listener.address, TIMEOUT))
    honest.connection.write(utf8('still there?'))
    await honest.received(12)
    honest.connection.abort()
    await listener.close()
    while (readdirSync('/proc/self/fd').length > before) await delay(1)
  })
}
