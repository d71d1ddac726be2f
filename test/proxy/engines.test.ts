import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:tls'
import test from 'node:test'
import { startWorkerThread } from '../../src/cmd/proxy/start-thread.ts'
import { httpApp, outcomeOf, dial, tcpApp } from '../support/apps.ts'
import { pemOf, mintSvid } from '../support/certificates.ts'
import { fetchFrom, idOf, worldOf, type TestProxy } from '../support/proxy-world.ts'

type Json = Readonly<Record<string, unknown>>

async function page(proxy: TestProxy, path: string): Promise<unknown> {
  return JSON.parse((await fetchFrom(proxy.admin, { path })).text)
}

for (const [web, catalog] of [
  ['handfast', 'openssl'],
  ['openssl', 'handfast'],
] as const) {
  test(`a proxy on ${web} and one on ${catalog} carry HTTP between them, and the operator sees who shook hands`, async (t) => {
    const app = await httpApp(t, (incoming, response) =>
      response.end(incoming.headers['x-forwarded-client-cert']),
    )
    const world = await worldOf(t, { protocol: 'http', app: app.address, tlsEngines: { web, catalog } })
    const { text } = await fetchFrom(world.entry)
    assert.equal(text, `By=${idOf('catalog')};URI=${idOf('web')}`)
    const engines: unknown[] = []
    for (const proxy of [world.web, world.catalog]) {
      const [handshake] = (await page(proxy, '/handshakes')) as Json[]
      assert.equal(handshake!['outcome'], 'established')
      engines.push(handshake!['engine'])
    }
    assert.deepEqual(engines, [web, catalog])
  })
}

test('a proxy on OpenSSL tells of a handshake what OpenSSL lets it know, and explains that', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('x'))
  const both = { web: 'openssl', catalog: 'openssl' } as const
  const world = await worldOf(t, { protocol: 'tcp', app: app.address, tlsEngines: both })
  await outcomeOf(await dial(t, world.entry))
  const { events } = (await page(world.web, '/handshakes?id=1')) as { events: Json[] }
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['agreed', 'identity', 'transcript', 'established'],
  )
  assert.equal(events[0]!['group'], 'X25519MLKEM768')
  const { text } = await fetchFrom(world.web.admin, { path: '/explain?id=1' })
  assert.match(text, /as the client saw it +✓ established/)
  assert.ok(text.includes(idOf('catalog')))
})

test('a proxy on OpenSSL offers no session to resume', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('welcome'))
  const both = { web: 'openssl', catalog: 'openssl' } as const
  const world = await worldOf(t, { protocol: 'tcp', app: app.address, tlsEngines: both })
  const { cert, key } = pemOf(await mintSvid(world.domain.intermediate, idOf('web')))
  const sessions: Buffer[] = []
  for (const session of [undefined, sessions]) {
    const socket = connect({
      ...world.gate,
      cert,
      key,
      rejectUnauthorized: false,
      ...(session?.[0] && { session: session[0] }),
    })
    socket.on('session', (offered: Buffer) => sessions.push(offered))
    const [greeting] = (await once(socket, 'data')) as [Buffer]
    assert.equal(String(greeting), 'welcome')
    assert.equal(socket.isSessionReused(), false)
    socket.destroy()
  }
})

test('a proxy on OpenSSL runs in threads of its own', async (t) => {
  const app = await httpApp(t, (_incoming, response) => response.end('ok'))
  const both = { web: 'openssl', catalog: 'openssl' } as const
  const world = await worldOf(t, {
    protocol: 'http',
    app: app.address,
    tlsEngines: both,
    startThread: startWorkerThread,
  })
  assert.equal((await fetchFrom(world.entry)).text, 'ok')
})
