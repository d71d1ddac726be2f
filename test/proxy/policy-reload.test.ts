import assert from 'node:assert/strict'
import test from 'node:test'
import { startWorkerThread } from '../../src/cmd/proxy/start-thread.ts'
import { fetchFrom } from '../support/proxy-world.ts'
import { reloadUnderLoad } from '../support/policy-reload.ts'

test('proxy judges no request by half of a policy while policies change under load, cuts what is newly denied, and keeps nothing', async (t) => {
  const result = await reloadUnderLoad(t, {
    rounds: 20,
    clients: 4,
    victims: 3,
    threads: 2,
    startThread: startWorkerThread,
  })
  assert.deepEqual(result.violations, [])
  assert.ok(result.requests >= 8)
  assert.deepEqual([result.policies, result.cutsMs.length], [40, 60])
  const { text } = await fetchFrom(result.catalog.admin, { path: '/threads' })
  const threads = JSON.parse(text) as { counters: { live: number; denials: number }; restarts: number }[]
  assert.equal(
    threads.reduce((sum, { restarts }) => sum + restarts, 0),
    0,
  )
  // Idle connections between the proxies are all that is left.
  assert.ok(threads.reduce((sum, { counters }) => sum + counters.live, 0) <= 4)
})
