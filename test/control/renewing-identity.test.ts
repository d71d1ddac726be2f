import assert from 'node:assert/strict'
import test from 'node:test'
import { ControlError } from '../../src/control/errors.ts'
import type { IssuedSvid } from '../../src/control/client.ts'
import type { IdentitySnapshot } from '../../src/control/identity-source.ts'
import { RenewalQueue } from '../../src/control/renewal-queue.ts'
import {
  type IdentityEvent,
  RenewingIdentity,
  type RenewingIdentityOptions,
} from '../../src/control/renewing-identity.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { SpiffeId } from '../../src/identity/spiffe-id.ts'
import { TrustBundles } from '../../src/identity/trust-bundle.ts'
import { memoryCa, WEB } from '../support/memory-ca.ts'
import { ManualTimers } from '../support/manual-timers.ts'

const NOW_MS = Date.UTC(2026, 5, 1)
const HOUR_MS = 3600 * 1000
const crypto = nativeCrypto()

/** A workload with its authority; `issue` can be made to fail, or to answer otherwise. */
async function workload(overrides: Partial<RenewingIdentityOptions> = {}) {
  const timers = new ManualTimers(NOW_MS)
  const queue = new RenewalQueue(timers)
  const ca = await memoryCa(NOW_MS)
  const bundles = TrustBundles.of(ca.authority.bundle)
  const events: IdentityEvent[] = []
  const snapshots: IdentitySnapshot[] = []
  const csrs: Uint8Array[] = []
  const control: { answer?: (csr: Uint8Array) => Promise<IssuedSvid> } = {}
  const certify = async (csr: Uint8Array, id = WEB): Promise<IssuedSvid> => {
    const { chain } = await ca.authority.issue({ id, proof: 'test' }, csr, { nowMs: timers.nowMs() })
    return { chain, bundles, clockSkewMs: 0 }
  }
  const identity = new RenewingIdentity({
    crypto,
    bundles,
    issue(csr) {
      csrs.push(csr)
      return (control.answer ?? certify)(csr)
    },
    expected: WEB,
    queue,
    random: () => 0.5,
    onEvent: (event) => events.push(event),
    ...overrides,
  })
  identity.onChange((snapshot) => snapshots.push(snapshot))
  /** Until the event after those there were. */
  const next = async (): Promise<IdentityEvent> => {
    const before = events.length
    for (let i = 0; i < 10_000 && events.length === before; i++) await new Promise((r) => setImmediate(r))
    assert.ok(events.length > before, 'nothing happened')
    return events.at(-1)!
  }
  /** When the next renewal begins, from now. */
  const dueInMs = (): number | undefined =>
    queue.soonestMs === undefined ? undefined : queue.soonestMs - timers.nowMs()
  return { identity, timers, dueInMs, events, snapshots, csrs, control, certify, next, ca, bundles }
}

test('RenewingIdentity has no SVID, but the configured bundles, before it starts', async () => {
  const { identity, bundles } = await workload()
  assert.equal(identity.current(), undefined)
  assert.equal(identity.bundles(), bundles)
})

test('RenewingIdentity publishes its first SVID with its bundles and a version', async () => {
  const { identity, snapshots, events } = await workload()
  const snapshot = await identity.start()
  assert.equal(snapshot.svid.id.toString(), WEB.toString())
  assert.equal(snapshot.version, 1)
  assert.equal(identity.current(), snapshot.svid)
  assert.deepEqual(snapshots, [snapshot])
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['issued'],
  )
})

test('RenewingIdentity renews at half of the life that is left, with a new key each time', async () => {
  const { identity, timers, dueInMs, next, snapshots } = await workload()
  const { svid: first } = await identity.start()
  assert.equal(dueInMs(), HOUR_MS / 2)
  timers.advance(HOUR_MS / 2 - 1)
  assert.equal(identity.current(), first)
  timers.advance(1)
  await next()
  const second = identity.current()!
  assert.notDeepEqual(second.key.publicKey.spki, first.key.publicKey.spki)
  assert.equal(second.expiresAtMs, NOW_MS + 1.5 * HOUR_MS)
  assert.deepEqual(
    snapshots.map(({ version }) => version),
    [1, 2],
  )
  assert.equal(dueInMs(), HOUR_MS / 2)
})

test('RenewingIdentity keeps a valid certificate through failing renewals, and never stops trying', async () => {
  const { identity, timers, control, next, snapshots } = await workload()
  const { svid } = await identity.start()
  control.answer = () => Promise.reject(new ControlError('CONTROL_UNAVAILABLE', 'Nobody there'))
  timers.advance(HOUR_MS / 2)
  const delays: number[] = []
  for (let attempt = 1; attempt <= 12; attempt++) {
    const event = await next()
    assert.ok(event.kind === 'failed')
    assert.equal(identity.current(), svid)
    assert.equal(event.leftMs, svid.expiresAtMs - timers.nowMs())
    delays.push(event.retryInMs)
    timers.advance(event.retryInMs)
  }
  assert.deepEqual(delays.slice(0, 8), [750, 1_500, 3_000, 6_000, 12_000, 24_000, 45_000, 45_000])
  assert.equal(snapshots.length, 1)

  await next()
  timers.advance(HOUR_MS)
  const late = await next()
  assert.ok(late.kind === 'failed' && late.leftMs! < 0, 'it says that the certificate has expired by now')
  assert.equal(identity.current(), svid)

  delete control.answer
  timers.advance(60_000)
  const event = await next()
  assert.equal(event.kind, 'issued')
  assert.ok(identity.current()!.expiresAtMs > timers.nowMs())
  assert.equal(timers.delaysMs.length, 1, 'one timer, for the next renewal')
})

test('RenewingIdentity waits for its first certificate as long as it takes', async () => {
  const { identity, timers, control, next } = await workload()
  control.answer = () => Promise.reject(new ControlError('CONTROL_UNAVAILABLE', 'Nobody there'))
  const started = identity.start()
  const event = await next()
  assert.ok(event.kind === 'failed')
  assert.equal(event.leftMs, undefined)
  delete control.answer
  timers.advance(event.retryInMs)
  assert.equal((await started).svid.id.toString(), WEB.toString())
})

test('RenewingIdentity refuses a certificate that is not the one it asked for', async () => {
  const { identity, control, certify, next, timers, dueInMs, bundles } = await workload()
  const { svid } = await identity.start()
  const stranger = await memoryCa(NOW_MS)
  const wrong: Record<string, (csr: Uint8Array) => Promise<IssuedSvid>> = {
    'for another identity': (csr) => certify(csr, SpiffeId.parse('spiffe://example.org/ns/shop/sa/cart')),
    'for another key': async () => ({ chain: svid.chain, bundles, clockSkewMs: 0 }),
    'without its intermediate': async (csr) => {
      const issued = await certify(csr)
      return { ...issued, chain: issued.chain.slice(0, 1) }
    },
    'by an authority that its bundle does not hold': async (csr) => {
      const { chain } = await stranger.authority.issue({ id: WEB, proof: 'test' }, csr, { nowMs: NOW_MS })
      return { chain, bundles, clockSkewMs: 0 }
    },
    'that is not valid yet': async (csr) => {
      timers.sleep(2 * HOUR_MS)
      const issued = await certify(csr)
      timers.sleep(-2 * HOUR_MS)
      return issued
    },
  }
  timers.advance(HOUR_MS / 2)
  await next()
  let before = identity.current()
  for (const [what, answer] of Object.entries(wrong)) {
    control.answer = answer
    timers.advance(dueInMs()!)
    const event = await next()
    assert.ok(event.kind === 'failed', what)
    assert.ok(event.error instanceof ControlError && event.error.code === 'CONTROL_CERTIFICATE', what)
    assert.equal(identity.current(), before, what)
    before = identity.current()
  }
})

test('RenewingIdentity says when the clocks of controller and workload differ', async () => {
  const { identity, control, certify, events } = await workload()
  control.answer = async (csr) => ({ ...(await certify(csr)), clockSkewMs: -90_000 })
  await identity.start()
  assert.deepEqual(events[0], { kind: 'clock-skew', skewMs: -90_000 })
})

test('RenewingIdentity.replaceBundles publishes the same SVID with the new bundles', async () => {
  const { identity, snapshots, ca } = await workload()
  const { svid } = await identity.start()
  const other = await memoryCa(NOW_MS)
  const both = TrustBundles.of({
    trustDomain: 'example.org',
    anchors: [...ca.authority.bundle.anchors, ...other.authority.bundle.anchors],
    jwtAuthorities: [],
  })
  identity.replaceBundles(both)
  assert.equal(identity.bundles(), both)
  assert.equal(snapshots[0]!.version, 1)
  assert.deepEqual(snapshots[1], { svid, bundles: both, version: 2 })
})

test('RenewingIdentity stops when disposed of, also in the middle of a renewal', async () => {
  const { identity, timers, control, certify, snapshots, next } = await workload()
  const { svid } = await identity.start()
  const asked = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  control.answer = async (csr) => {
    asked.resolve()
    await gate.promise
    return certify(csr)
  }
  timers.advance(HOUR_MS / 2)
  await asked.promise
  identity[Symbol.dispose]()
  gate.resolve()
  await assert.rejects(next(), /nothing happened/)
  assert.equal(identity.current(), svid)
  assert.equal(snapshots.length, 1)
  assert.deepEqual(timers.delaysMs, [])
})

test('RenewingIdentity.onChange listens until told to stop', async () => {
  const { identity, timers, next } = await workload()
  let heard = 0
  const stop = identity.onChange(() => heard++)
  await identity.start()
  stop()
  timers.advance(HOUR_MS / 2)
  await next()
  assert.equal(heard, 1)
})

test('RenewingIdentity.renewWithin brings one renewal forward, and is content with one that is under way', async () => {
  const { identity, timers, dueInMs, next, csrs, control, certify } = await workload()
  await identity.start()
  identity.renewWithin(10_000)
  assert.equal(dueInMs(), 5_000)
  timers.advance(5_000)
  await next()
  assert.equal(csrs.length, 2)
  assert.equal(timers.delaysMs.length, 1, 'the usual renewal comes after it')

  const asked = Promise.withResolvers<void>()
  control.answer = async (csr) => {
    await asked.promise
    return certify(csr)
  }
  identity.renewWithin(0)
  timers.advance(0)
  identity.renewWithin(0)
  assert.equal(dueInMs(), undefined)
  asked.resolve()
  await next()
  assert.equal(csrs.length, 3)
  identity[Symbol.dispose]()
  identity.renewWithin(0)
  assert.deepEqual(timers.delaysMs, [])
})
