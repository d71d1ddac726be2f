import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { RenewalQueue } from '../../src/control/renewal-queue.ts'
import { ManualTimers } from '../support/manual-timers.ts'

const MINUTE_MS = 60_000

test('RenewalQueue calls everyone in the order in which they are due, with one timer', () => {
  const timers = new ManualTimers()
  const queue = new RenewalQueue(timers)
  const called: string[] = []
  for (const [name, minutes] of [
    ['c', 30],
    ['a', 10],
    ['d', 90],
    ['b', 20],
  ] as const)
    queue.join(() => called.push(name)).renewAt(timers.nowMs() + minutes * MINUTE_MS)
  assert.equal(queue.soonestMs, timers.nowMs() + 10 * MINUTE_MS)
  assert.equal(timers.delaysMs.length, 1)
  timers.advance(10 * MINUTE_MS - 1)
  assert.deepEqual(called, [])
  timers.advance(1)
  assert.deepEqual(called, ['a'])
  timers.advance(80 * MINUTE_MS)
  assert.deepEqual(called, ['a', 'b', 'c', 'd'])
  assert.equal(queue.soonestMs, undefined)
  assert.deepEqual(timers.delaysMs, [])
})

test('RenewalQueue goes by the moment that was said last, and forgets whoever has left', () => {
  const timers = new ManualTimers()
  const queue = new RenewalQueue(timers)
  let called = 0
  const place = queue.join(() => called++)
  place.renewAt(timers.nowMs() + 50_000)
  place.renewAt(timers.nowMs() + 5_000)
  timers.advance(5_000)
  assert.equal(called, 1)
  timers.advance(50_000)
  assert.equal(called, 1, 'once, until it says when again')
  place.renewAt(timers.nowMs() + 5_000)
  place.renewAt(timers.nowMs() + 50_000)
  timers.advance(49_000)
  assert.equal(called, 1)
  place[Symbol.dispose]()
  timers.advance(50_000)
  assert.equal(called, 1)
  assert.deepEqual(timers.delaysMs, [], 'no timer keeps the process alive')
})

test('RenewalQueue finds out within a minute that the machine has slept', () => {
  const timers = new ManualTimers()
  const queue = new RenewalQueue(timers)
  let calledAtMs: number | undefined
  const wokeAtMs = timers.nowMs() + 480 * MINUTE_MS
  queue.join(() => (calledAtMs = timers.nowMs())).renewAt(timers.nowMs() + 30 * MINUTE_MS)
  timers.sleep(480 * MINUTE_MS)
  timers.advance(MINUTE_MS)
  assert.ok(calledAtMs !== undefined && calledAtMs <= wokeAtMs + MINUTE_MS)
})

test('RenewalQueue lets whoever is called say at once when it wants to be called again', () => {
  const timers = new ManualTimers()
  const queue = new RenewalQueue(timers)
  const calls: number[] = []
  const place = queue.join(() => {
    calls.push(timers.nowMs())
    place.renewAt(timers.nowMs() + MINUTE_MS)
  })
  place.renewAt(timers.nowMs())
  timers.advance(3 * MINUTE_MS)
  assert.equal(calls.length, 4)
})

test('RenewalQueue keeps its order through any sequence of joining, moving and leaving', () => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant('move' as const), who: fc.nat(19), inMs: fc.nat(10_000_000) }),
    fc.record({ kind: fc.constant('leave' as const), who: fc.nat(19) }),
    fc.record({ kind: fc.constant('wait' as const), forMs: fc.nat(1_000_000) }),
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), (events) => {
      const timers = new ManualTimers()
      const queue = new RenewalQueue(timers)
      /** When each is due, as it should be. */
      const dues = new Map<number, number>()
      const places = Array.from({ length: 20 }, (_, who) =>
        queue.join(() => {
          const dueMs = dues.get(who)
          assert.equal(dueMs, Math.min(...dues.values()), 'whoever is first')
          assert.equal(timers.nowMs(), dueMs, 'at its moment')
          dues.delete(who)
        }),
      )
      for (const step of events) {
        if (step.kind === 'wait') {
          timers.advance(step.forMs)
          for (const dueMs of dues.values()) assert.ok(dueMs > timers.nowMs())
          continue
        }
        if (step.kind === 'leave') {
          places[step.who]![Symbol.dispose]()
          dues.delete(step.who)
          continue
        }
        const dueMs = timers.nowMs() + 1 + step.inMs
        places[step.who]!.renewAt(dueMs)
        dues.set(step.who, dueMs)
      }
      assert.equal(queue.soonestMs, dues.size === 0 ? undefined : Math.min(...dues.values()))
    }),
  )
})
