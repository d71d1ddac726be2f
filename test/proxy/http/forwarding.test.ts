import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http'
import test from 'node:test'
import { httpApp } from '../../support/apps.ts'
import { mirror, mirrored, type Mirrored } from '../../support/http-mirror.ts'
import { fetchFrom, idOf, worldOf } from '../../support/proxy-world.ts'

test('proxy carries an allowed request and tells the application who called', async (t) => {
  const { world } = await mirrored(t)
  const { status, text } = await fetchFrom(
    world.entry,
    {
      method: 'POST',
      path: '/items?q=secret',
      headers: {
        'x-forwarded-client-cert': 'By=spiffe://evil;URI=spiffe://evil',
        'x-own': 'kept',
        host: 'catalog',
      },
    },
    'the body',
  )
  assert.equal(status, 200)
  const seen = JSON.parse(text) as Mirrored
  assert.equal(seen.method, 'POST')
  assert.equal(seen.url, '/items?q=secret')
  assert.equal(seen.body, 'the body')
  assert.equal(seen.headers['x-own'], 'kept')
  assert.equal(seen.headers['host'], 'catalog')
  assert.equal(seen.headers['x-forwarded-client-cert'], `By=${idOf('catalog')};URI=${idOf('web')}`)

  const [inbound] = await world.catalog.log.saw('access')
  const { fields } = inbound!
  assert.equal(fields['method'], 'POST')
  assert.equal(fields['path'], '/items')
  assert.equal(fields['status'], 200)
  assert.equal(fields['requestBytes'], 8)
  assert.equal(fields['responseBytes'], Buffer.byteLength(text))
  assert.equal(fields['peer'], idOf('web'))
  assert.equal(fields['verdict'], 'permit')
  const [outbound] = await world.web.log.saw('access')
  assert.equal(outbound!.fields['peer'], idOf('catalog'))
  assert.equal(outbound!.fields['status'], 200)
})

test('proxy takes hop-by-hop headers off in both directions and keeps repeated ones apart', async (t) => {
  const app = await httpApp(t, (incoming, response) => {
    response.writeHead(
      200,
      [
        ['Connection', 'x-internal'],
        ['X-Internal', 'for one hop'],
        ['Keep-Alive', 'timeout=99'],
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
        ['X-Seen', JSON.stringify(incoming.rawHeaders)],
      ].flat(),
    )
    response.end('body')
  })
  const world = await worldOf(t, { protocol: 'http', app: app.address })
  const { headers } = await fetchFrom(world.entry, {
    headers: {
      connection: 'x-mine, host',
      'x-mine': 'for one hop',
      te: 'trailers',
      'proxy-connection': 'x',
      'x-kept': '1',
    },
  })
  assert.equal(headers['x-internal'], undefined)
  assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2'])
  assert.notEqual(headers['keep-alive'], 'timeout=99')
  const raw = JSON.parse(String(headers['x-seen'])) as string[]
  const seen = new Set(raw.map((text) => text.toLowerCase()))
  for (const gone of ['x-mine', 'te', 'proxy-connection']) assert.ok(!seen.has(gone), gone)
  for (const kept of ['x-kept', 'host']) assert.ok(seen.has(kept), kept)
})

test('proxy streams both ways: the response begins while the request still comes', async (t) => {
  const app = await httpApp(t, (incoming, response) => {
    response.writeHead(200)
    incoming.on('data', (chunk: Buffer) => response.write(String(chunk).toUpperCase()))
    incoming.on('end', () => response.end('END'))
  })
  const world = await worldOf(t, { protocol: 'http', app: app.address })
  const outgoing = request({ ...world.entry, method: 'POST', agent: false })
  outgoing.write('one')
  const incoming = await new Promise<IncomingMessage>((resolve) => outgoing.once('response', resolve))
  const next = (): Promise<string> =>
    new Promise((resolve) => incoming.once('data', (c) => resolve(String(c))))
  assert.equal(await next(), 'ONE')
  outgoing.write('two')
  assert.equal(await next(), 'TWO')
  outgoing.end()
  assert.equal(await next(), 'END')
})

test('proxy carries 32 MB of request and response intact', async (t) => {
  const app = await httpApp(t, (incoming, response) => void incoming.pipe(response))
  const world = await worldOf(t, { protocol: 'http', app: app.address })
  const body = randomBytes(32 << 20)
  const received = await new Promise<Buffer>((resolve, reject) => {
    const outgoing = request({ ...world.entry, method: 'PUT', agent: false }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('end', () => resolve(Buffer.concat(chunks)))
      incoming.on('error', reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
  assert.ok(received.equals(body))
})

test('proxy keeps connections at all three hops for further requests', async (t) => {
  const { world, app } = await mirrored(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  for (let i = 0; i < 10; i++) assert.equal((await fetchFrom(world.entry, { agent })).status, 200)
  assert.equal(app.connections(), 1)
  const records = JSON.parse((await fetchFrom(world.catalog.admin, { path: '/handshakes' })).text)
  assert.equal((records as unknown[]).length, 1)
})

test('proxy passes Expect: 100-continue on and lets the server decide', async (t) => {
  const app = await httpApp(t, mirror)
  app.server.on('checkContinue', (incoming: IncomingMessage, response: ServerResponse) => {
    if (incoming.url === '/no') {
      response.writeHead(417).end()
      return
    }
    response.writeContinue()
    mirror(incoming, response)
  })
  const world = await worldOf(t, { protocol: 'http', app: app.address })
  const send = (path: string): Promise<{ status: number; continued: boolean }> =>
    new Promise((resolve, reject) => {
      let continued = false
      const outgoing = request(
        {
          ...world.entry,
          path,
          method: 'POST',
          agent: false,
          headers: { expect: '100-continue', 'content-length': 4 },
        },
        (incoming) => {
          incoming.resume()
          resolve({ status: incoming.statusCode ?? 0, continued })
        },
      )
      outgoing.on('continue', () => {
        continued = true
        outgoing.end('body')
      })
      outgoing.on('error', reject)
      outgoing.flushHeaders()
    })
  assert.deepEqual(await send('/yes'), { status: 200, continued: true })
  assert.deepEqual(await send('/no'), { status: 417, continued: false })
})

test('proxy passes trailers on', async (t) => {
  const app = await httpApp(t, (incoming, response) => {
    incoming.resume()
    incoming.on('end', () => {
      response.writeHead(200, { trailer: 'x-sum' })
      response.write('body')
      response.addTrailers({ 'x-sum': String(incoming.trailers['x-sum']) })
      response.end()
    })
  })
  const world = await worldOf(t, { protocol: 'http', app: app.address })
  const trailers = await new Promise((resolve) => {
    const outgoing = request(
      { ...world.entry, method: 'POST', agent: false, headers: { trailer: 'x-sum' } },
      (incoming) => {
        incoming.resume()
        incoming.on('end', () => resolve(incoming.trailers))
      },
    )
    outgoing.write('body')
    outgoing.addTrailers({ 'x-sum': '42' })
    outgoing.end()
  })
  assert.deepEqual({ ...(trailers as object) }, { 'x-sum': '42' })
})
