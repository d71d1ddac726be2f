import assert from 'node:assert/strict'
import test from 'node:test'
import { RateLimit } from '../../src/ca/rate-limit.ts'

test('RateLimit.allow gives each caller so many at once, and then as many as time brings', () => {
  const limit = new RateLimit({ atOnce: 3, perMinute: 60 })
  const allowed = (caller: string, nowMs: number, asked: number): number =>
    Array.from({ length: asked }, () => limit.allow(caller, nowMs)).filter(Boolean).length
  assert.equal(allowed('a', 0, 5), 3)
  assert.equal(allowed('b', 0, 5), 3)
  assert.equal(allowed('a', 999, 5), 0)
  assert.equal(allowed('a', 2_000, 5), 2)
  assert.equal(allowed('a', 3_600_000, 5), 3, 'a pause brings no more than the bucket holds')
})

test('RateLimit.allow takes nothing away when a clock is put back', () => {
  const limit = new RateLimit({ atOnce: 2, perMinute: 60 })
  assert.ok(limit.allow('a', 10_000))
  assert.ok(limit.allow('a', 0))
  assert.ok(!limit.allow('a', 0))
  assert.ok(limit.allow('a', 1_000))
})

test('RateLimit.allow remembers no more callers than it has room for, and those who asked last', () => {
  const limit = new RateLimit({ atOnce: 1, perMinute: 1 })
  assert.ok(limit.allow('first', 0))
  for (let i = 0; i < 19_999; i++) assert.ok(limit.allow(`caller ${i}`, 1))
  assert.ok(!limit.allow('first', 2), 'known still, and now the last that asked')
  assert.ok(limit.allow('one more', 3))
  assert.ok(!limit.allow('first', 4))
  assert.ok(limit.allow('caller 0', 5), 'it had to make room')
})
