import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { pipeline } from 'node:stream/promises'
import test, { type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ConnectionDuplex } from '../../src/net/duplex.ts'
import { runEngine } from '../../src/net/engine-connection.ts'
import type { Connection } from '../../src/net/transport.ts'
import { fakeEngine } from '../support/fake-engine.ts'
import { connectedPair, TRANSPORTS } from '../support/transports.ts'
import type { Transport } from '../../src/net/transport.ts'

for (const transport of TRANSPORTS) suite(transport)

function suite(transport: Transport): void {
  interface Ends {
    readonly a: ConnectionDuplex
    readonly b: ConnectionDuplex
    readonly rawA: Connection
  }

  async function plain(t: TestContext): Promise<Ends> {
    const { client, server } = await connectedPair(t, transport)
    return { a: new ConnectionDuplex(client), b: new ConnectionDuplex(server), rawA: client }
  }

  async function secured(t: TestContext): Promise<Ends> {
    const { client, server } = await connectedPair(t, transport)
    const [a, b] = await Promise.all([
      runEngine(client, { deadlineMs: 5_000 }, fakeEngine({ role: 'client' })),
      runEngine(server, { deadlineMs: 5_000 }, fakeEngine({ role: 'server' })),
    ])
    return { a: new ConnectionDuplex(a), b: new ConnectionDuplex(b), rawA: client }
  }

  /** All up to the end; `for await` would destroy the stream after that, and with it the half that is still open. */
  function textOf(stream: ConnectionDuplex): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = ''
      stream.on('data', (chunk) => (text += String(chunk)))
      stream.once('end', () => resolve(text))
      stream.once('error', reject)
    })
  }

  for (const [kind, ends] of [
    ['a plain connection', plain],
    ['a secure connection', secured],
  ] as const) {
    test(`ConnectionDuplex over ${kind} echoes after the end of the other half, then closes, over ${transport.name}`, async (t) => {
      const { a, b } = await ends(t)
      const closed = Promise.all(
        [a, b].map((stream) => new Promise((resolve) => stream.once('close', resolve))),
      )
      a.end('hello')
      const request = await textOf(b)
      b.end(`echo ${request}`)
      assert.equal(await textOf(a), 'echo hello')
      await closed
    })

    test(`ConnectionDuplex over ${kind} carries 8 MB intact through a slow reader, holding little, over ${transport.name}`, async (t) => {
      const { a, b } = await ends(t)
      const total = 8 * 1024 * 1024
      let read = 0
      let most = 0
      const sending = pipeline(async function* () {
        for (let sent = 0; sent < total; sent += 65_536) yield Buffer.alloc(65_536, sent / 65_536)
      }, a)
      for await (const chunk of b as AsyncIterable<Buffer>) {
        for (const byte of chunk) {
          if (byte !== Math.floor(read / 65_536) % 256) assert.fail(`byte ${read} is ${byte}`)
          read++
        }
        most = Math.max(most, b.readableLength)
        await new Promise((resolve) => setImmediate(resolve))
      }
      assert.equal(read, total)
      assert.ok(most < 1024 * 1024, `${most} bytes were buffered for a slow reader`)
      b.end()
      await sending
    })

    test(`ConnectionDuplex over ${kind} turns destroy into an error at the other side, never an end, over ${transport.name}`, async (t) => {
      const { a, b } = await ends(t)
      a.write('half of it')
      await new Promise((resolve) => b.once('readable', resolve))
      a.destroy()
      await assert.rejects(textOf(b), { code: 'NET_RESET' })
    })
  }

  test(`ConnectionDuplex fails with TLS_TRUNCATED when the connection ends without close_notify, over ${transport.name}`, async (t) => {
    const { b, rawA } = await secured(t)
    rawA.end()
    await assert.rejects(textOf(b), { code: 'TLS_TRUNCATED' })
  })

  test(`ConnectionDuplex knows both addresses and emits timeout after idleness only, over ${transport.name}`, async (t) => {
    const { a, b } = await plain(t)
    assert.deepEqual([a.remoteAddress, a.remotePort], [b.localAddress, b.localPort])
    let timeouts = 0
    b.resume()
    // Long enough that a busy machine does not make it look idle.
    a.setTimeout(1_000, () => timeouts++)
    for (let i = 0; i < 3; i++) {
      await delay(400)
      a.write('busy')
    }
    assert.equal(timeouts, 0)
    await once(a, 'timeout')
    assert.equal(timeouts, 1)
  })

  test(`ConnectionDuplex serves node:http at both ends, with keep-alive and bodies, over ${transport.name}`, async (t) => {
    const { a, b } = await secured(t)
    const server = createServer((incoming, response) => {
      let body = ''
      incoming.on('data', (chunk) => (body += String(chunk)))
      incoming.on('end', () =>
        response.end(`${incoming.method} ${incoming.url} ${body} ${incoming.socket.remoteAddress}`),
      )
    })
    server.emit('connection', b)
    const answers: string[] = []
    for (const path of ['/one', '/two']) {
      answers.push(
        await new Promise<string>((resolve, reject) => {
          const outgoing = request(
            { method: 'POST', path, createConnection: () => a, headers: { connection: 'keep-alive' } },
            (response) => {
              let text = ''
              response.on('data', (chunk) => (text += String(chunk)))
              response.on('end', () => resolve(text))
            },
          )
          outgoing.on('error', reject)
          outgoing.end('body')
        }),
      )
    }
    assert.deepEqual(answers, ['POST /one body 127.0.0.1', 'POST /two body 127.0.0.1'])
  })
}
