import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import test from 'node:test'
import { httpApp } from '../../support/apps.ts'
import { mirrored } from '../../support/http-mirror.ts'
import { allow, fetchFrom, policy, worldOf } from '../../support/proxy-world.ts'

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
