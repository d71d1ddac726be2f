import assert from 'node:assert/strict'
import { Agent, type ServerResponse } from 'node:http'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { httpApp, refusing } from '../../support/apps.ts'
import { mirror, mirrored } from '../../support/http-mirror.ts'
import { fetchFrom, mint, worldOf } from '../../support/proxy-world.ts'

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
