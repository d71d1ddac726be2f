import assert from 'node:assert/strict'
import test from 'node:test'
import { HandshakeSlots } from '../../src/proxy/handshake-slots.ts'
import { CounterRow, Counters } from '../../src/proxy/threads/counters.ts'

test('HandshakeSlots lets so many begin at once, and the others in the order in which they came', async () => {
  const counters = new Counters(1)
  const slots = new HandshakeSlots(2, new CounterRow(counters, 0))
  const [first, second] = [slots.take(1_000), slots.take(1_000)]
  assert.ok(!(first instanceof Promise) && !(second instanceof Promise))
  const begun: string[] = []
  const later = ['third', 'fourth'].map(async (name) => {
    const free = await slots.take(10_000)
    begun.push(name)
    return free
  })
  assert.deepEqual([counters.read(0, 'handshakes'), counters.read(0, 'waiting')], [2, 2])
  first()
  first()
  await later[0]
  assert.deepEqual(begun, ['third'], 'to free a slot twice frees it once')
  second()
  const frees = await Promise.all(later)
  assert.deepEqual(begun, ['third', 'fourth'])
  for (const free of frees) free!()
  assert.deepEqual([counters.read(0, 'handshakes'), counters.read(0, 'waiting')], [0, 0])
})

test('HandshakeSlots gives up who has waited too long, and does not let them begin later', async () => {
  const counters = new Counters(1)
  const slots = new HandshakeSlots(1, new CounterRow(counters, 0))
  const free = await slots.take(1_000)
  assert.equal(await slots.take(5), undefined)
  assert.deepEqual([counters.read(0, 'lateHandshakes'), counters.read(0, 'waiting')], [1, 0])
  free!()
  assert.equal(counters.read(0, 'handshakes'), 0)
  assert.ok(!(slots.take(5) instanceof Promise))
})
