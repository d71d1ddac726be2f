import assert from 'node:assert/strict'
import test from 'node:test'
import { Backoff } from '../../src/control/backoff.ts'

test('Backoff doubles its delays up to a bound, and never ends', () => {
  const backoff = new Backoff({ random: () => 0.999_999, baseMs: 100, maxMs: 1_000 })
  const delays = Array.from({ length: 7 }, () => Math.round(backoff.next()))
  assert.deepEqual(delays, [100, 200, 400, 800, 1_000, 1_000, 1_000])
  for (let i = 0; i < 5_000; i++) backoff.next()
  assert.equal(Math.round(backoff.next()), 1_000)
})

test('Backoff draws each delay from the upper half of its span', () => {
  const backoff = new Backoff({ random: () => 0, baseMs: 100, maxMs: 1_000 })
  assert.deepEqual(
    Array.from({ length: 5 }, () => backoff.next()),
    [50, 100, 200, 400, 500],
  )
})

test('Backoff begins again after a success', () => {
  const backoff = new Backoff({ random: () => 0 })
  const first = backoff.next()
  backoff.next()
  backoff.reset()
  assert.equal(backoff.next(), first)
})
