import assert from 'node:assert/strict'
import test from 'node:test'
import { Leadership, type LeadershipOptions } from '../../src/control/leadership.ts'
import { ManualTimers } from '../support/manual-timers.ts'
import { MemoryLease } from '../support/memory-lease.ts'

const ATTEMPT_MS = 200
const RENEW_MS = 1_000

function striving(lease: MemoryLease, part: Partial<LeadershipOptions> = {}) {
  const timers = new ManualTimers()
  const events: string[] = []
  const leadership = new Leadership({
    lease,
    holder: 'a',
    timers,
    onGained: async (term) => void events.push(`gained ${term}`),
    onLost: () => events.push('lost'),
    onError: (error) => events.push(String(error)),
    ...part,
  })
  /** Moves the clock, and lets what has begun end. */
  const pass = async (ms: number): Promise<void> => {
    timers.advance(ms)
    for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => setImmediate(resolve))
  }
  return { leadership, events, pass, timers }
}

test('Leadership takes the lead soon after the leader has gone, and not before', async () => {
  const lease = new MemoryLease()
  const other = await lease.tryAcquire('b')
  const { events, pass } = striving(lease)
  for (let attempt = 0; attempt < 5; attempt++) await pass(ATTEMPT_MS)
  assert.deepEqual(events, [])
  other![Symbol.dispose]()
  await pass(ATTEMPT_MS)
  assert.deepEqual(events, ['gained 2'])
  await pass(RENEW_MS)
  await pass(RENEW_MS)
  assert.deepEqual(events, ['gained 2'])
})

test('Leadership lays its duties down when the lease is lost, and strives again', async () => {
  const lease = new MemoryLease()
  const held = await lease.tryAcquire('a')
  const { events, pass } = striving(lease, { held })
  lease.takeAway()
  const other = await lease.tryAcquire('b')
  await pass(RENEW_MS)
  assert.deepEqual(events, ['lost'])
  other![Symbol.dispose]()
  await pass(ATTEMPT_MS)
  assert.deepEqual(events, ['lost', 'gained 3'])
})

test('Leadership gives the lease back when it cannot take its duties up, and tries again', async () => {
  const lease = new MemoryLease()
  let broken = true
  const gained: number[] = []
  const { events, pass } = striving(lease, {
    async onGained(term) {
      if (broken) throw new Error('no store')
      gained.push(term)
    },
  })
  await pass(ATTEMPT_MS)
  assert.deepEqual(events, ['Error: no store'])
  const other = await lease.tryAcquire('b')
  assert.equal(other?.term, 2)
  other[Symbol.dispose]()
  broken = false
  await pass(ATTEMPT_MS)
  assert.deepEqual(gained, [3])
})

test('Leadership gives the lease back when it is disposed of', async () => {
  const lease = new MemoryLease()
  const { leadership, pass, events, timers } = striving(lease)
  await pass(ATTEMPT_MS)
  leadership[Symbol.dispose]()
  assert.equal((await lease.tryAcquire('b'))?.term, 2)
  await pass(RENEW_MS)
  assert.deepEqual(events, ['gained 1'])
  assert.deepEqual(timers.delaysMs, [])
})
