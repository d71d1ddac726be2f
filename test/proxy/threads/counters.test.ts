import assert from 'node:assert/strict'
import test from 'node:test'
import { CounterRow, Counters } from '../../../src/proxy/threads/counters.ts'

test('Counters over the same memory show what each thread has counted, and number without repeats', () => {
  const main = new Counters(2)
  const other = new Counters(2, main.memory)
  new CounterRow(other, 1).add('accepted', 3)
  new CounterRow(other, 1).add('live')
  new CounterRow(main, 0).add('live', 2)
  assert.equal(main.of(1).accepted, 3)
  assert.equal(main.of(0).accepted, 0)
  assert.deepEqual([main.nextId(), other.nextId(), main.nextId()], [1, 2, 3])
  main.clearGauges(1)
  assert.deepEqual([other.read(0, 'live'), other.read(1, 'live'), other.read(1, 'accepted')], [2, 0, 3])
})
