import assert from 'node:assert/strict'
import test from 'node:test'
import { Authorities } from '../../src/ca/authorities.ts'
import type { Fleet } from '../../src/ca/rotation.ts'
import { Rotator } from '../../src/ca/rotator.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { MemoryCaStore, TRUST_DOMAIN } from '../support/memory-ca.ts'

const TTL_MS = 3_600_000

async function world() {
  const clock = { nowMs: Date.UTC(2026, 5, 1) }
  const authorities = await Authorities.open(
    {
      store: new MemoryCaStore(),
      crypto: nativeCrypto(),
      trustDomain: TRUST_DOMAIN,
      intermediateTtlMs: 1_000 * TTL_MS,
      svidTtlMs: TTL_MS,
    },
    clock,
  )
  const fleet: { now: Fleet } = { now: { followers: [], settled: true } }
  const stages: (string | undefined)[] = []
  const rotator = new Rotator({
    authorities,
    nowMs: () => clock.nowMs,
    fleet: () => fleet.now,
    onMoved: () => void stages.push(authorities.state.rotation?.stage),
  })
  return { clock, fleet, stages, rotator }
}

test('Rotator reports the stage, and what each next step waits for', async () => {
  const { clock, fleet, stages, rotator } = await world()
  assert.deepEqual(rotator.report().steps, { prepare: { possible: true } })
  await rotator.prepare()
  fleet.now = {
    settled: true,
    followers: [
      { name: 'web on n1', informed: false, renewed: true },
      { name: 'db on n2', informed: false, renewed: true, refusal: 'no room' },
      { name: 'ok on n3', informed: true, renewed: true },
    ],
  }
  const lagging =
    'waiting for web on n1, which has not acknowledged the trust bundle; db on n2, which refused the newest state: no room'
  await rotator.advance()
  const report = rotator.report()
  assert.equal(report.stage, 'prepared')
  assert.deepEqual(report.steps, {
    activate: { possible: false, waitsFor: lagging },
    rollback: { possible: true },
  })
  assert.deepEqual([report.current.signs, report.next?.signs, report.connected], [true, false, 3])
  await assert.rejects(rotator.step('activate'), {
    code: 'CA_ROTATION_WAITS',
    message: `Cannot activate: ${lagging}`,
  })
  await assert.rejects(rotator.prepare(), { code: 'CA_ROTATION_STAGE' })
  await assert.rejects(rotator.step('taint'), { code: 'CA_ROTATION_STAGE', message: /expected active$/ })

  fleet.now = { settled: true, followers: [{ name: 'web on n1', informed: true, renewed: false }] }
  await rotator.advance()
  await rotator.step('activate')
  await rotator.step('taint')
  await assert.rejects(rotator.step('remove'), /web on n1, which has not renewed its certificate/)
  fleet.now = { settled: false, followers: [] }
  await assert.rejects(rotator.step('remove'), /until 2026-06-01T01:00:00Z; wait, or give them up/)
  await assert.rejects(rotator.step('remove', { abandonAbsent: true }), /has not run for long enough/)
  clock.nowMs += TTL_MS
  const done = await rotator.step('remove')
  assert.deepEqual([done.stage, done.current.number, done.next], ['none', 2, undefined])
  assert.deepEqual(stages, ['prepared', 'distributed', 'active', 'tainted', undefined])
})

test('Rotator names twenty who lag, and counts the rest', async () => {
  const { fleet, rotator } = await world()
  await rotator.prepare()
  const followers = Array.from({ length: 25 }, (_, i) => ({ name: `p${i}`, informed: false, renewed: true }))
  fleet.now = { settled: true, followers }
  await assert.rejects(rotator.step('activate'), /p19, which[^;]*; and 5 more$/)
})

test('Rotator ends a way back by itself', async () => {
  const { clock, rotator, stages } = await world()
  await rotator.prepare()
  await rotator.step('activate')
  assert.equal((await rotator.step('rollback')).stage, 'reverting')
  await rotator.advance()
  clock.nowMs += TTL_MS
  await rotator.advance()
  assert.deepEqual(stages, ['prepared', 'active', 'reverting', undefined])
  assert.equal(rotator.report().current.number, 1)
})
