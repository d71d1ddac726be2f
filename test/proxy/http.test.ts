import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { dial, httpApp, outcomeOf, refusing, tcpApp, type TestApp } from '../support/apps.ts'
import {
  allow,
  fetchFrom,
  idOf,
  mint,
  policy,
  worldOf,
  type World,
  type WorldOptions,
} from '../support/proxy-world.ts'

/** Reads a whole body, then answers with what it saw. */
function mirror(incoming: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
  incoming.on('end', () => {
    const body = Buffer.concat(chunks).toString()
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({ method: incoming.method, url: incoming.url, headers: incoming.headers, body }),
    )
  })
}

interface Mirrored {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string
}

async function mirrored(
  t: TestContext,
  options: Partial<WorldOptions> = {},
): Promise<{ world: World; app: TestApp }> {
  const app = await httpApp(t, mirror)
  return { app, world: await worldOf(t, { protocol: 'http', app: app.address, ...options }) }
}

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

test('proxy answers a denied request with 403 and the id of the decision only, and nothing reaches the application', async (t) => {
  const { world, app } = await mirrored(t, {
    rules: [`${allow('web')}\n      to: [{ methods: [GET], paths: ["/items*"] }]`],
  })
  for (const [method, path] of [
    ['POST', '/items'],
    ['GET', '/admin'],
    ['GET', '/items/../admin'],
    ['GET', '/items/%2e%2e/admin'],
    ['GET', '//items'],
  ] as const) {
    const denied = await fetchFrom(world.entry, { method, path }, method === 'POST' ? 'a body' : undefined)
    assert.equal(denied.status, 403, `${method} ${path}`)
    const id = denied.headers['x-handfast-decision']
    assert.match(String(id), /^[0-9a-f]{20}$/)
    assert.deepEqual(JSON.parse(denied.text), { decision: id })
  }
  assert.equal(app.connections(), 0)
  assert.equal((await fetchFrom(world.entry, { path: '/items/7' })).status, 200)
  assert.equal(app.connections(), 1)
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
  const records = await admin(world.catalog, '/handshakes')
  assert.equal((records as unknown[]).length, 1)
})

async function admin(proxy: World['catalog'], path: string): Promise<unknown> {
  return JSON.parse((await fetchFrom(proxy.admin, { path })).text)
}

test('proxy judges each request by the policy of its moment', async (t) => {
  const { world, app } = await mirrored(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const status = async (): Promise<number> => (await fetchFrom(world.entry, { agent })).status
  assert.equal(await status(), 200)
  await world.catalog.publishPolicy(policy(allow('someone-else')))
  assert.equal(await status(), 403)
  await world.catalog.publishPolicy(policy(allow('web')))
  assert.equal(await status(), 200)
  assert.equal(app.connections(), 1)
})

test('proxy cuts a response that is still coming when policy denies its request', async (t) => {
  const app = await httpApp(t, (_incoming, response) => {
    response.write('for ever')
  })
  const world = await worldOf(t, { protocol: 'http', app: app.address })
  const broken = new Promise<Error>((resolve) => {
    const outgoing = request({ ...world.entry, agent: false }, (incoming) => {
      incoming.on('data', () => void world.catalog.publishPolicy(policy()))
      incoming.on('error', resolve)
    })
    outgoing.on('error', () => {})
    outgoing.end()
  })
  assert.equal(((await broken) as NodeJS.ErrnoException).code, 'ECONNRESET')
})

test('proxy drops no request while certificates are renewed under traffic', async (t) => {
  const { world } = await mirrored(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  t.after(() => agent.destroy())
  const enough = new AbortController()
  let answered = 0
  const failures: unknown[] = []
  const worker = async (): Promise<void> => {
    while (!enough.signal.aborted) {
      try {
        const { status } = await fetchFrom(world.entry, { agent, method: 'POST' }, 'x'.repeat(1_000))
        if (status === 200) answered++
        else failures.push(status)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  const workers = Array.from({ length: 8 }, worker)
  for (let i = 0; i < 8; i++) {
    // Every worker has asked under the certificates of now, some of them twice.
    const before = answered
    while (answered + failures.length < before + 2 * workers.length) await delay(5)
    const [proxy, name] = i % 2 === 0 ? ([world.web, 'web'] as const) : ([world.catalog, 'catalog'] as const)
    await proxy.publishIdentity({ svid: await mint(world.domain, name), bundles: world.domain.bundles })
  }
  enough.abort()
  await Promise.all(workers)
  assert.deepEqual(failures, [])
  assert.equal(world.web.views.renewals, 4)
})

test('proxy answers 503 with an id when the application is not there, and 502 when it talks nonsense', async (t) => {
  const { world, app } = await mirrored(t)
  app.server.close()
  const refused = await fetchFrom(world.entry, {})
  assert.equal(refused.status, 503)
  assert.match(String(refused.headers['x-handfast-id']), /^[0-9a-f]{20}$/)
  assert.deepEqual(JSON.parse(refused.text), { id: refused.headers['x-handfast-id'] })
  const [line] = await world.catalog.log.saw('access')
  assert.equal((line!.fields['error'] as Record<string, unknown>)['code'], 'NET_CONNECTION_REFUSED')
})

test('proxy answers 502 when the application talks nonsense or hangs up', async (t) => {
  const app = await httpApp(t, (incoming) => {
    if (incoming.url === '/nonsense') incoming.socket.end('what?\r\n\r\n')
    else incoming.socket.destroy()
  })
  const world = await worldOf(t, { protocol: 'http', app: app.address })
  for (const path of ['/nonsense', '/hang-up']) {
    const { status, text } = await fetchFrom(world.entry, { path })
    assert.equal(status, 502, path)
    assert.deepEqual(Object.keys(JSON.parse(text) as object), ['id'])
  }
})

test('proxy answers 502 when the peer is another than configured', async (t) => {
  const { world, app } = await mirrored(t, { expectedPeer: idOf('payments') })
  const { status, text } = await fetchFrom(world.entry, {})
  assert.equal(status, 502)
  assert.ok(!text.includes('payments'))
  assert.equal(app.connections(), 0)
})

test('proxy shows a response that broke off as broken, whether it had a length or not', async (t) => {
  const app = await httpApp(t, (incoming, response) => {
    if (incoming.url === '/length') response.setHeader('content-length', 100)
    response.write('half')
    setTimeout(() => response.destroy(), 30)
  })
  const world = await worldOf(t, { protocol: 'http', app: app.address })
  for (const path of ['/length', '/chunked'])
    await assert.rejects(fetchFrom(world.entry, { path }), { code: 'ECONNRESET' }, path)
})

test('proxy ends the request at the application when the client goes away', async (t) => {
  const gone = Promise.withResolvers<void>()
  const app = await httpApp(t, (incoming, response) => {
    response.write('started')
    incoming.socket.once('close', () => gone.resolve())
  })
  const world = await worldOf(t, { protocol: 'http', app: app.address })
  const outgoing = request({ ...world.entry, agent: false }, (incoming) => {
    incoming.on('error', () => {})
    incoming.once('data', () => outgoing.destroy())
  })
  outgoing.end()
  await gone.promise
  const [line] = await world.catalog.log.saw('access')
  assert.equal((line!.fields['error'] as Record<string, unknown>)['code'], 'PROXY_CLIENT_GONE')
})

test('proxy passes WebSocket upgrades after a permit, and bytes both ways', async (t) => {
  const { world, app } = await mirrored(t)
  app.server.on('upgrade', (incoming: IncomingMessage, socket) => {
    assert.equal(incoming.headers['x-forwarded-client-cert'], `By=${idOf('catalog')};URI=${idOf('web')}`)
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Extra: 1\r\n\r\nhi ',
    )
    socket.pipe(socket)
  })
  const socket = await dial(t, world.entry)
  socket.write('GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  let text = ''
  socket.on('data', (chunk) => (text += String(chunk)))
  while (!text.includes('hi ')) await delay(5)
  assert.match(text, /^HTTP\/1\.1 101 Switching Protocols\r\n/)
  assert.match(text, /X-Extra: 1\r\n/)
  socket.write('frame')
  while (!text.endsWith('frame')) await delay(5)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.end()
  await closed
  const [line] = await world.catalog.log.saw('access')
  assert.equal(line!.fields['status'], 101)
  assert.equal(line!.fields['requestBytes'], 5)
})

test('proxy cuts an upgraded connection that new policy denies', async (t) => {
  const { world, app } = await mirrored(t)
  app.server.on('upgrade', (_incoming, socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  })
  const socket = await dial(t, world.entry)
  socket.write('GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await new Promise((resolve) => socket.once('readable', resolve))
  await world.catalog.publishPolicy(policy())
  assert.equal((await outcomeOf(socket)).error, 'ECONNRESET')
})

test('proxy denies an upgrade as it denies a request', async (t) => {
  const { world, app } = await mirrored(t, { rules: [allow('someone-else')] })
  app.server.on('upgrade', () => assert.fail('the upgrade reached the application'))
  const socket = await dial(t, world.entry)
  socket.write('GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  const { text } = await outcomeOf(socket)
  assert.match(text, /^HTTP\/1\.1 403 /)
  assert.match(text, /x-handfast-decision: [0-9a-f]{20}/i)
  assert.equal(app.connections(), 0)
})

test('proxy passes on an ordinary response to an upgrade', async (t) => {
  const { world } = await mirrored(t)
  const socket = await dial(t, world.entry)
  socket.write('GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  const { text } = await outcomeOf(socket)
  assert.match(text, /^HTTP\/1\.1 200 /)
  assert.match(text, /"url":"\/ws"/)
})

test('proxy does not pass on an upgrade to h2c: the request is judged and served as HTTP/1.1', async (t) => {
  const { world } = await mirrored(t)
  const { status, text } = await fetchFrom(world.entry, {
    headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' },
  })
  assert.equal(status, 200)
  const { headers } = JSON.parse(text) as Mirrored
  assert.equal(headers['upgrade'], undefined)
  assert.equal(headers['http2-settings'], undefined)
})

for (const [name, head] of [
  [
    'both lengths',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX',
  ],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'],
  ['chunked not last', 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n'],
  ['bare line feeds', 'GET / HTTP/1.1\nHost: x\n\n'],
  ['space before colon', 'GET / HTTP/1.1\r\nHost : x\r\n\r\n'],
  ['folded header', 'GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n 2\r\n\r\n'],
  [
    'chunk size with sign',
    'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n',
  ],
  ['no host', 'GET / HTTP/1.1\r\n\r\n'],
] as const) {
  test(`proxy answers a request with ${name} by 400 and passes nothing on`, async (t) => {
    const { world, app } = await mirrored(t)
    const socket = await dial(t, world.entry)
    socket.write(head)
    const { text } = await outcomeOf(socket)
    assert.match(text, /^HTTP\/1\.1 400 /)
    assert.ok(!text.includes('"url"'), text)
    assert.ok(app.connections() <= 1)
  })
}

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

test('proxy drains: requests under way finish, connections are told to close, new ones are refused', async (t) => {
  const started = Promise.withResolvers<ServerResponse>()
  const app = await httpApp(t, (incoming, response) => {
    if (incoming.url === '/slow') started.resolve(response)
    else mirror(incoming, response)
  })
  const world = await worldOf(t, { protocol: 'http', app: app.address, drainTimeoutMs: 5_000 })
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  await fetchFrom(world.entry, { agent })
  const slow = fetchFrom(world.entry, { agent, path: '/slow' })
  const response = await started.promise
  const startedMs = performance.now()
  const drained = Promise.all([world.web.drain(), world.catalog.drain()])
  await refusing(world.entry)
  response.end('finished')
  const { status, text, headers } = await slow
  assert.deepEqual([status, text, headers.connection], [200, 'finished', 'close'])
  await drained
  assert.ok(performance.now() - startedMs < 2_500, 'the drain waited for idle connections')
  assert.equal(world.catalog.log.named('Drained')[0]?.fields['cut'], 0)
})

/** An application that speaks just enough HTTP for full control of its connections. */
function scripted(t: TestContext, onRequest: (nth: number, socket: Socket) => void): Promise<TestApp> {
  return tcpApp(t, (socket) => {
    let requests = 0
    socket.on('data', () => onRequest(++requests, socket))
    socket.on('end', () => socket.end())
  })
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

test('proxy does not use a connection that the application has ended', async (t) => {
  const app = await scripted(t, (_nth, socket) => {
    socket.write(OK)
    setTimeout(() => socket.end(), 20)
  })
  const world = await worldOf(t, { protocol: 'http', app: app.address })
  for (let i = 0; i < 3; i++) {
    assert.equal((await fetchFrom(world.entry, { method: 'POST' }, 'body')).status, 200)
    await delay(60)
  }
  assert.equal(app.connections(), 3)
})

test('proxy sends a repeatable request once more when the application cuts a reused connection, and no other', async (t) => {
  const app = await scripted(t, (nth, socket) => {
    if (nth === 1) socket.write(OK)
    else socket.resetAndDestroy()
  })
  const world = await worldOf(t, { protocol: 'http', app: app.address })
  for (let i = 0; i < 3; i++) assert.equal((await fetchFrom(world.entry, {})).status, 200)
  assert.equal(app.connections(), 3)
  assert.equal((await fetchFrom(world.entry, { method: 'POST' }, 'body')).status, 502)
  assert.equal(app.connections(), 3)
})
