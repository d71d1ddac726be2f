import assert from 'node:assert/strict'
import test from 'node:test'
import { TokenCache } from '../../src/control/workload-api/token-cache.ts'
import { ManualTimers } from '../support/manual-timers.ts'

const LIFE_MS = 300_000

function world() {
  const timers = new ManualTimers()
  const asked: string[] = []
  const controller: { failure: Error | undefined } = { failure: undefined }
  const cache = new TokenCache({
    issue: (audience) => {
      asked.push(audience.join())
      if (controller.failure !== undefined) return Promise.reject(controller.failure)
      return Promise.resolve({ token: `token ${asked.length}`, expiresAtMs: timers.nowMs() + LIFE_MS })
    },
    timers,
  })
  return { timers, asked, controller, cache }
}

test('TokenCache gives the same token for the same audience until half of its life is over', async () => {
  const { cache, timers, asked } = world()
  const [one, same] = await Promise.all([cache.issue(['a']), cache.issue(['a'])])
  assert.deepEqual([one.token, same.token], ['token 1', 'token 1'])
  assert.equal((await cache.issue(['a', 'b'])).token, 'token 2')
  timers.advance(LIFE_MS / 2 - 1)
  assert.equal((await cache.issue(['a'])).token, 'token 1')
  timers.advance(1)
  assert.equal((await cache.issue(['a'])).token, 'token 3')
  assert.deepEqual(asked, ['a', 'a,b', 'a'])
})

test('TokenCache does not keep a failure, nor more audiences than a workload speaks to', async () => {
  const { cache, asked, controller } = world()
  controller.failure = new Error('away')
  await assert.rejects(cache.issue(['a']), /away/)
  controller.failure = undefined
  assert.equal((await cache.issue(['a'])).token, 'token 2')
  for (let count = 0; count < 256; count++) await cache.issue([`audience ${count}`])
  await cache.issue(['a'])
  assert.equal(asked.filter((audience) => audience === 'a').length, 3)
})
