import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { countCollections } from '../../../src/proxy/threads/collections.ts'
import { CounterRow, Counters } from '../../../src/proxy/threads/counters.ts'
import { collectGarbage } from '../../support/garbage.ts'

test('countCollections counts what the collector does to this thread, and how long it takes, until told to stop', async () => {
  const counters = new Counters(1)
  const stop = countCollections(new CounterRow(counters, 0))
  collectGarbage()
  for (let turns = 0; counters.read(0, 'collections') === 0 && turns < 10_000; turns++) await nextTurn()
  const { collections, collectionMicros, longCollections } = counters.of(0)
  assert.ok(collections > 0)
  assert.ok(collectionMicros > 0)
  assert.ok(longCollections <= collections)
  stop()
  const counted = counters.read(0, 'collections')
  collectGarbage()
  for (let turns = 0; turns < 100; turns++) await nextTurn()
  assert.equal(counters.read(0, 'collections'), counted)
})
