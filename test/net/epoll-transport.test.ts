import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { utf8 } from '../../src/bytes/bytes.ts'
import { loadSockets } from '../../src/native/sockets.ts'
import { epollTransport } from '../../src/net/epoll-transport.ts'
import type { Connection, Transport } from '../../src/net/transport.ts'
import { RecordedConnection } from '../support/recorded-connection.ts'
import { connectedPair } from '../support/transports.ts'

const probe = loadSockets()
const skip = probe.kind === 'missing' ? probe.reason : false
const LOOPBACK = { host: '127.0.0.1', port: 0 }

/** What one connection may bring in one turn. */
const DELIVERY_BYTES = 128 * 1024

function transport(): Transport {
  assert.ok(probe.kind === 'available')
  return epollTransport(probe.sockets)
}

const silent = { end: () => undefined, drain: () => undefined, closed: () => undefined }

test(
  'epollTransport lets bulk streams delay a small message by a few deliveries only',
  { skip },
  async (t) => {
    const own = transport()
    const STREAMS = 6
    let bulkBytes = 0
    for (let i = 0; i < STREAMS; i++) {
      const { client, server } = await connectedPair(t, own)
      const block = new Uint8Array(DELIVERY_BYTES * 2)
      const send = (): void => {
        while (client.write(block));
      }
      client.attach({ ...silent, data: () => undefined, drain: send })
      server.attach({
        ...silent,
        data(bytes) {
          assert.ok(bytes.length <= DELIVERY_BYTES)
          bulkBytes += bytes.length
        },
      })
      send()
    }
    const { client, server } = await connectedPair(t, own)
    server.attach({ ...silent, data: (bytes) => server.write(bytes) })
    const a = new RecordedConnection(client)
    let mostBytes = 0
    for (let i = 1; i <= 200; i++) {
      const before = bulkBytes
      client.write(utf8('ping'))
      await a.received(4 * i)
      mostBytes = Math.max(mostBytes, bulkBytes - before)
    }
    assert.ok(bulkBytes > 200 * DELIVERY_BYTES, 'the streams flowed')
    // There and back is two turns, and the message may just have missed one.
    assert.ok(mostBytes <= 4 * STREAMS * DELIVERY_BYTES, `${mostBytes} bytes went first`)
  },
)

test(
  'epollTransport notices a reset of a connection whose other half has ended already',
  { skip },
  async (t) => {
    const { client, server } = await connectedPair(t, transport())
    const b = new RecordedConnection(server)
    client.end()
    await b.ended
    client.abort()
    assert.equal((await b.closed)?.code, 'NET_RESET')
  },
)

test('epollTransport does not spin while a broken connection waits for its reader', { skip }, async (t) => {
  const { client, server } = await connectedPair(t, transport())
  server.pause()
  const b = new RecordedConnection(server)
  client.write(utf8('x'))
  client.abort()
  await delay(20)
  const { user, system } = process.cpuUsage()
  await delay(300)
  const used = process.cpuUsage({ user, system })
  assert.ok(used.user + used.system < 150_000, `${used.user + used.system} µs in 300 ms of waiting`)
  server.resume()
  await b.closed
  assert.equal(b.text, 'x')
})

test(
  'epollTransport gives no event of a closed connection to the next with its descriptor',
  { skip },
  async (t) => {
    const own = transport()
    const pairs = [await connectedPair(t, own), await connectedPair(t, own)]
    const told: string[] = []
    let heir: Promise<Connection> | undefined
    // Both have data in one turn; whoever is first cuts the other and opens something in its place.
    pairs.forEach(({ server, listener }, index) => {
      server.attach({
        ...silent,
        data() {
          told.push(`data ${index}`)
          pairs[1 - index]!.server.abort()
          heir = own.connect(listener.address, { timeoutMs: 5_000 })
        },
      })
    })
    for (const { client } of pairs) client.write(utf8('now'))
    while (told.length === 0) await delay(1)
    const connection = new RecordedConnection(await heir!)
    await delay(20)
    assert.equal(told.length, 1)
    assert.deepEqual(connection.events, [])
    connection.connection.abort()
  },
)

test('epollTransport goes on with other connections when a handler throws', { skip }, async () => {
  const { stdout } = await node(`
    process.on('uncaughtException', (error) => console.log('reported', error.message))
    const pairs = [await pair(), await pair()]
    let answered = 0
    pairs.forEach(({ server }, index) => server.attach({ ...silent, data(bytes) {
      if (index === 0) throw new Error('handler')
      server.write(bytes)
    } }))
    for (const { client } of pairs) {
      client.attach({ ...silent, data() { console.log('answered'); process.exit(0) } })
      client.write(Buffer.from('x'))
    }`)
  assert.equal(stdout, 'reported handler\nanswered\n')
})

test(
  'epollTransport runs promises of a handler before the next turn, and lets the process end',
  { skip },
  async () => {
    const { stdout } = await node(`
    const { client, server, listener } = await pair()
    server.attach({ ...silent, async data(bytes) { await null; await null; server.write(bytes); server.end() } })
    client.attach({ ...silent, data: (bytes) => console.log(Buffer.from(bytes).toString()), end() { client.end(); listener.close() } })
    client.write(Buffer.from('hello'))`)
    assert.equal(stdout, 'hello\n')
  },
)

test(
  'epollTransport survives having no descriptors left, says so, and accepts when there are some',
  { skip },
  async () => {
    const { stdout } = await node(
      `
    const held = []
    const errors = []
    const listener = await transport.listen(LOOPBACK, (c) => { c.attach({ ...silent, data: (b) => c.write(b) }); held.push(c) },
      { onError: (error) => errors.push(error.code) })
    const clients = []
    const taken = []
    // Take all descriptors but one: a connection needs two.
    const { openSync, closeSync } = await import('node:fs')
    try { for (;;) taken.push(openSync('/dev/null')) } catch {}
    closeSync(taken.pop())
    const client = await transport.connect(listener.address, { timeoutMs: 5000 })
    client.attach({ ...silent, data(b) { console.log(errors.join(), Buffer.from(b).toString()); process.exit(0) } })
    client.write(Buffer.from('late'))
    while (errors.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    for (const fd of taken) closeSync(fd)
    await transport.connect(listener.address, { timeoutMs: 5000 })`,
      { descriptors: 128 },
    )
    assert.equal(stdout, 'NET_DESCRIPTORS_EXHAUSTED late\n')
  },
)

test(
  'epollTransport leaves no descriptor behind, whatever becomes of its connections',
  { skip },
  async () => {
    const own = transport()
    const before = readdirSync('/proc/self/fd').length
    const listener = await own.listen(LOOPBACK, (connection) => {
      const whim = Math.random()
      if (whim < 0.3) connection.abort()
      else
        connection.attach({
          ...silent,
          data: (bytes) => connection.write(bytes),
          end: () => connection.end(),
        })
    })
    for (let i = 0; i < 300; i++) {
      const connection = await own.connect(listener.address, { timeoutMs: 5_000 }).catch(() => undefined)
      if (connection === undefined) continue
      const recorded = new RecordedConnection(connection)
      connection.write(utf8('x'))
      if (i % 3 === 0) connection.abort()
      else connection.end()
      await recorded.closed
    }
    while (listener.open > 0) await delay(1)
    await listener.close()
    assert.equal(readdirSync('/proc/self/fd').length, before)
  },
)

const SRC = join(import.meta.dirname, '../../src')

/** Runs a module in a process of its own, with `transport`, `pair()`, `silent` and `LOOPBACK`. */
function node(
  body: string,
  { descriptors = 1024 }: { readonly descriptors?: number } = {},
): Promise<{ stdout: string; stderr: string }> {
  const script = `
    import { loadSockets } from '${SRC}/native/sockets.ts'
    import { epollTransport } from '${SRC}/net/epoll-transport.ts'
    const transport = epollTransport(loadSockets().sockets)
    const silent = { end() {}, drain() {}, closed() {} }
    const LOOPBACK = { host: '127.0.0.1', port: 0 }
    async function pair() {
      const accepted = Promise.withResolvers()
      const listener = await transport.listen(LOOPBACK, accepted.resolve)
      const client = await transport.connect(listener.address, { timeoutMs: 5000 })
      return { client, server: await accepted.promise, listener }
    }
    ${body}`
  const shell = 'ulimit -n "$1"; exec "$2" --input-type=module -e "$3"'
  const args = ['-c', shell, 'sh', String(descriptors), process.execPath, script]
  return promisify(execFile)('sh', args, { timeout: 20_000 })
}
