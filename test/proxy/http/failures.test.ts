import assert from 'node:assert/strict'
import { request } from 'node:http'
import test from 'node:test'
import { httpApp } from '../../support/apps.ts'
import { mirrored } from '../../support/http-mirror.ts'
import { fetchFrom, idOf, worldOf } from '../../support/proxy-world.ts'

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
