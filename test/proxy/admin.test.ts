import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { decodePem } from '../../src/pki/pem.ts'
import { httpApp } from '../support/apps.ts'
import {
  allow,
  fetchFrom,
  idOf,
  LOOPBACK,
  mint,
  policy,
  proxyOf,
  worldOf,
  type TestProxy,
  type World,
} from '../support/proxy-world.ts'

type Json = Readonly<Record<string, unknown>>

async function page(proxy: TestProxy, path: string, method = 'GET'): Promise<{ status: number; body: Json }> {
  const { status, text } = await fetchFrom(proxy.admin, { path, method })
  return { status, body: JSON.parse(text) as Json }
}

async function shop(t: TestContext): Promise<World> {
  const app = await httpApp(t, (_incoming, response) => response.end('ok'))
  return worldOf(t, { protocol: 'http', app: app.address })
}

test('admin /ready is 503 until identity and policy are there, and says what is missing', async (t) => {
  const world = await shop(t)
  const proxy = await proxyOf(t, {
    inbound: [{ name: 'in', listen: LOOPBACK, forward: LOOPBACK, protocol: 'tcp' }],
  })
  assert.deepEqual(await page(proxy, '/ready'), {
    status: 503,
    body: { ready: false, missing: ['identity', 'policy'] },
  })
  await proxy.publishIdentity({ svid: await mint(world.domain, 'x'), bundles: world.domain.bundles })
  assert.deepEqual((await page(proxy, '/ready')).body['missing'], ['policy'])
  await proxy.publishPolicy(policy())
  assert.deepEqual(await page(proxy, '/ready'), { status: 200, body: { ready: true } })
  await proxy.publishIdentity({ svid: await mint(world.domain, 'x', -1_000), bundles: world.domain.bundles })
  assert.deepEqual(await page(proxy, '/ready'), {
    status: 503,
    body: { ready: false, missing: ['a valid identity'] },
  })
  assert.equal((await page(proxy, '/healthz')).status, 200)
})

test('admin /svid shows the own certificate and counts renewals', async (t) => {
  const { web, domain } = await shop(t)
  const renewed = await mint(domain, 'web')
  await web.publishIdentity({ svid: renewed, bundles: domain.bundles })
  const { body } = await page(web, '/svid')
  assert.equal(body['id'], idOf('web'))
  assert.equal(body['renewals'], 1)
  const certificate = body['certificate'] as Json
  assert.equal(certificate['serialNumber'], renewed.chain[0]!.serialNumber)
  assert.deepEqual(certificate['uris'], [idOf('web')])
  assert.deepEqual(decodePem(String(certificate['pem']), 'CERTIFICATE')[0], renewed.chain[0]!.der)
  assert.doesNotMatch(JSON.stringify(body), /PRIVATE KEY/)
})

test('admin /config shows the configuration in force and where the listeners are', async (t) => {
  const { catalog, gate } = await shop(t)
  const { body } = await page(catalog, '/config')
  assert.deepEqual((body['addresses'] as Json)['catalog'], { ...gate })
  assert.equal((body['controller'] as Json)['joinTokenFile'], 'token')
})

test('admin /handshakes lists connections, and shows each step of one with its certificates as PEM', async (t) => {
  const { catalog, entry } = await shop(t)
  await fetchFrom(entry, {})
  const list = (await page(catalog, '/handshakes')).body as unknown as Json[]
  assert.equal(list.length, 1)
  assert.equal(list[0]!['outcome'], 'established')
  assert.equal(list[0]!['peer'], idOf('web'))
  const { body } = await page(catalog, `/handshakes?id=${String(list[0]!['id'])}`)
  const events = body['events'] as Json[]
  const kinds = new Set(events.map((event) => event['kind']))
  for (const kind of ['message', 'keys', 'agreed', 'identity', 'possession', 'transcript', 'established'])
    assert.ok(kinds.has(kind), kind)
  const identity = events.find((event) => event['kind'] === 'identity')!
  const path = identity['path'] as Json[]
  assert.match(String(path[0]!['pem']), /^-----BEGIN CERTIFICATE-----/)
  assert.equal((await page(catalog, '/handshakes?id=99')).status, 404)
})

test('admin /handshakes keeps failures with their cause', async (t) => {
  const { catalog, gate } = await shop(t)
  await fetchFrom(gate, {}).catch(() => {})
  const list = (await page(catalog, '/handshakes')).body as unknown as Json[]
  assert.equal(list[0]!['outcome'], 'failed')
  assert.equal((list[0]!['error'] as Json)['code'], 'TLS_NOT_TLS')
})

test('admin /explain tells one handshake as text or JSON, from the own side of it', async (t) => {
  const { web, catalog, gate, entry } = await shop(t)
  await fetchFrom(entry, {})
  const text = await fetchFrom(web.admin, { path: '/explain?id=1' })
  assert.equal(text.headers['content-type'], 'text/plain; charset=utf-8')
  assert.match(text.text, /^TLS 1\.3 handshake, as the client saw it +✓ established after/)
  assert.ok(text.text.includes(idOf('catalog')))
  assert.ok(!text.text.includes('\u001b'))
  const coloured = await fetchFrom(web.admin, { path: '/explain?id=1&colour=always&width=120' })
  assert.ok(coloured.text.includes('\u001b[1m'))

  const { body } = await page(catalog, '/explain?id=1&format=json')
  assert.deepEqual([body['perspective'], body['outcome']], ['server', 'established'])
  await fetchFrom(gate, {}).catch(() => {})
  const failed = (await page(catalog, '/explain?id=2&format=json')).body
  assert.equal((failed['failure'] as Json)['code'], 'TLS_NOT_TLS')

  assert.equal((await page(web, '/explain')).status, 400)
  assert.equal((await page(web, '/explain?id=1&width=5')).status, 400)
  assert.equal((await page(web, '/explain?id=99')).status, 404)
})

test('admin /decisions finds a decision by the id that the client was told, with what it missed', async (t) => {
  const { catalog, entry } = await shop(t)
  await catalog.publishPolicy(policy(allow('someone-else')))
  const denied = await fetchFrom(entry, { path: '/a?token=secret' })
  const id = String(denied.headers['x-handfast-decision'])
  const { body } = await page(catalog, `/decisions?id=${id}`)
  assert.equal(body['kind'], 'denial')
  assert.equal(body['cause'], 'no-matching-rule')
  assert.equal((body['request'] as Json)['path'], '/a')
  const [miss] = body['considered'] as Json[]
  assert.equal(miss!['policy'], 'shop/rule-0')
  assert.deepEqual(miss!['wanted'], [idOf('someone-else')])
  assert.equal(((await page(catalog, '/decisions')).body as unknown as Json[])[0]!['id'], id)
})

test('admin refuses names that are not of this machine, origins of elsewhere, other methods and unknown pages', async (t) => {
  const { web } = await shop(t)
  const status = async (options: Parameters<typeof fetchFrom>[1]): Promise<number> =>
    (await fetchFrom(web.admin, options)).status
  assert.equal(await status({ path: '/svid', headers: { host: 'rebound.example:15000' } }), 403)
  assert.equal(await status({ path: '/svid', headers: { host: '127.0.0.1.example' } }), 403)
  assert.equal(await status({ path: '/svid', headers: { host: 'localhost:15000' } }), 200)
  assert.equal(await status({ path: '/svid', headers: { host: '[::1]:15000' } }), 200)
  assert.equal(
    await status({ path: '/drain', method: 'POST', headers: { origin: 'https://evil.example' } }),
    403,
  )
  assert.equal(await status({ path: '/drain', method: 'POST', headers: { origin: 'null' } }), 403)
  assert.equal(await status({ path: '/drain' }), 405)
  assert.equal(await status({ path: '/svid', method: 'POST' }), 405)
  assert.equal(await status({ path: '/secrets' }), 404)
})

test('admin /drain drains the proxy', async (t) => {
  const { web } = await shop(t)
  const { status } = await page(web, '/drain', 'POST')
  assert.equal(status, 202)
  await web.stopped
  assert.equal(web.log.named('Drained').length, 1)
})
