import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { overdueFromMs, renewalDelayMs, retryDelayMs } from '../../src/control/renewal-time.ts'

const HOUR_MS = 3600 * 1000

test('renewalDelayMs spreads renewals by a tenth around the half, and never waits past the end', () => {
  assert.equal(
    renewalDelayMs(HOUR_MS, () => 0),
    0.45 * HOUR_MS,
  )
  assert.ok(Math.abs(renewalDelayMs(HOUR_MS, () => 1) - 0.55 * HOUR_MS) < 1)
  assert.equal(
    renewalDelayMs(-5, () => 0.5),
    0,
  )
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e14, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (left, r) => {
        const delay = renewalDelayMs(left, () => r)
        assert.ok(delay >= 0 && delay <= left)
      },
    ),
  )
})

test('retryDelayMs is the back-off, and shorter as the end of the certificate nears', () => {
  assert.equal(retryDelayMs(45_000, undefined), 45_000)
  assert.equal(retryDelayMs(45_000, -1), 45_000)
  assert.equal(retryDelayMs(45_000, HOUR_MS), 45_000)
  assert.equal(retryDelayMs(45_000, 80_000), 10_000)
  assert.equal(retryDelayMs(45_000, 1_000), 500)
  assert.equal(retryDelayMs(200, 1_000), 200)
})

test('overdueFromMs lies behind every moment at which a certificate is renewed, and before its end', () => {
  const certificate = { issuedAtMs: 5_000, expiresAtMs: 5_000 + HOUR_MS }
  assert.equal(overdueFromMs(certificate), 5_000 + 0.6 * HOUR_MS)
  assert.ok(5_000 + renewalDelayMs(HOUR_MS, () => 1) < overdueFromMs(certificate))
})
