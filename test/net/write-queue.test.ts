import assert from 'node:assert/strict'
import test from 'node:test'
import { array, assert as check, boolean, integer, property, tuple, uint8Array } from 'fast-check'
import { concat } from '../../src/bytes/bytes.ts'
import { WriteQueue } from '../../src/net/write-queue.ts'

function drained(queue: WriteQueue, step = Infinity): Uint8Array {
  const parts: Uint8Array[] = []
  while (queue.length > 0) {
    const part = queue.front().slice(0, step)
    parts.push(part)
    queue.consume(part.length)
  }
  return concat(...parts)
}

test('WriteQueue gives back what was pushed, in order, however it is pushed and taken', () => {
  check(
    property(
      array(tuple(uint8Array({ maxLength: 9000 }), boolean()), { maxLength: 12 }),
      integer({ min: 1, max: 5000 }),
      (pushes, step) => {
        const queue = new WriteQueue()
        for (const [bytes, isGiven] of pushes) queue.push(bytes, isGiven)
        const whole = concat(...pushes.map(([bytes]) => bytes))
        assert.equal(queue.length, whole.length)
        assert.deepEqual(drained(queue, step), whole)
        assert.equal(queue.length, 0)
      },
    ),
  )
})

test('WriteQueue copies lent bytes, and keeps large given ones as they are', () => {
  const queue = new WriteQueue()
  const lent = new Uint8Array(20_000).fill(1)
  queue.push(lent, false)
  lent.fill(9)
  assert.ok(drained(queue).every((byte) => byte === 1))
  const given = new Uint8Array(20_000)
  queue.push(given, true)
  assert.equal(queue.front().buffer, given.buffer)
  queue.clear()
  assert.equal(queue.length, 0)
})

test('WriteQueue begins small, grows with what waits, and uses its memory again', () => {
  const queue = new WriteQueue()
  queue.push(new Uint8Array(10), false)
  const small = queue.front().buffer
  assert.equal(small.byteLength, 1024)
  drained(queue)
  const sizes = new Set<number>()
  for (let i = 0; i < 400; i++) queue.push(new Uint8Array(1000), false)
  while (queue.length > 0) {
    sizes.add(queue.front().buffer.byteLength)
    queue.consume(queue.front().length)
  }
  assert.deepEqual([...sizes], [1024, 16 * 1024, 256 * 1024])
  const another = new WriteQueue()
  another.push(new Uint8Array(10), false)
  assert.equal(another.front().buffer, small)
  another.clear()
})

test('WriteQueue does not give memory away that it was given', () => {
  const queue = new WriteQueue()
  const given = new Uint8Array(1024 * 16).fill(7)
  queue.push(given, true)
  queue.consume(given.length)
  queue.push(new Uint8Array(16 * 1024).fill(1), false)
  assert.ok(given.every((byte) => byte === 7))
})
