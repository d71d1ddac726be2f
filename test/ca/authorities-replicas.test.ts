import assert from 'node:assert/strict'
import test from 'node:test'
import { Authorities } from '../../src/ca/authorities.ts'
import { CertificateAuthority } from '../../src/ca/authority.ts'
import { type RotationCommand, stepRotation } from '../../src/ca/rotation.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { MemoryCaStore, MemoryJournal, TRUST_DOMAIN, WEB } from '../support/memory-ca.ts'

const NOW_MS = Date.UTC(2026, 5, 1, 12)
const TTL_MS = 3_600_000
const DAY_MS = 24 * TTL_MS
const crypto = nativeCrypto()
const FLEET = { followers: [], settled: true }

const STEPS: readonly RotationCommand[] = ['activate', 'taint', 'remove']

function optionsFor(store: MemoryCaStore) {
  return { store, crypto, trustDomain: TRUST_DOMAIN, intermediateTtlMs: 365 * DAY_MS, svidTtlMs: TTL_MS }
}

async function step(authorities: Authorities, command: RotationCommand, nowMs = NOW_MS): Promise<void> {
  const context = { nowMs, fleet: FLEET, abandonAbsent: true }
  const outcome = await authorities.change((state) => stepRotation(state, command, context))
  assert.equal(outcome.kind, 'moved')
}

test('Authorities.follow waits for a leader to make the authority, and sees every step that it takes, writing nothing', async () => {
  const store = new MemoryCaStore()
  const context = { nowMs: NOW_MS }
  assert.equal(await Authorities.follow(optionsFor(store), context), undefined)
  const leader = await Authorities.open(optionsFor(store), { ...context, term: 1 })
  const follower = (await Authorities.follow(optionsFor(store), context))!
  assert.deepEqual([leader.leads, follower.leads], [true, false])
  const same = async (): Promise<void> => {
    store.writesLeft = 0
    await follower.refresh(context)
    store.writesLeft = Infinity
    assert.deepEqual(follower.state, leader.state)
    assert.equal(follower.record, leader.record)
    assert.equal(follower.signer.number, leader.signer.number)
    assert.deepEqual(
      follower.anchors.map(({ serialNumber }) => serialNumber),
      leader.anchors.map(({ serialNumber }) => serialNumber),
    )
  }
  await same()
  await leader.prepare(() => context)
  await same()
  for (const command of STEPS) {
    await step(leader, command)
    await same()
  }
  assert.equal(follower.state.current, 2)
  for (const change of [
    () => follower.prepare(() => context),
    () => step(follower, 'rollback'),
    () => follower.maintain(context),
  ])
    await assert.rejects(change(), { code: 'CA_NOT_LEADER' })
})

test('Authorities.refresh notices an intermediate that was replaced, when it is told to be thorough', async () => {
  const store = new MemoryCaStore()
  const leader = await Authorities.open(optionsFor(store), { nowMs: NOW_MS, term: 1 })
  const follower = (await Authorities.follow(optionsFor(store), { nowMs: NOW_MS }))!
  await follower.refresh({ nowMs: NOW_MS })
  const laterMs = NOW_MS + 300 * DAY_MS
  await leader.maintain({ nowMs: laterMs })
  const { serialNumber } = leader.signer.intermediate.certificate
  await follower.refresh({ nowMs: laterMs })
  assert.notEqual(follower.signer.intermediate.certificate.serialNumber, serialNumber)
  await follower.refresh({ nowMs: laterMs }, true)
  assert.equal(follower.signer.intermediate.certificate.serialNumber, serialNumber)
})

test('Authorities.lead goes on from wherever the leader before was, and that one is fenced off', async () => {
  for (let done = 0; done <= STEPS.length; done++) {
    const store = new MemoryCaStore()
    const context = { nowMs: NOW_MS }
    const first = await Authorities.open(optionsFor(store), { ...context, term: 1 })
    const second = (await Authorities.follow(optionsFor(store), context))!
    await first.prepare(() => context)
    for (const command of STEPS.slice(0, done)) await step(first, command)

    await second.lead(2, context)
    assert.deepEqual(second.state, first.state)
    const { rotation: record } = store
    // It was asleep while its lease ran out, and wakes up in the middle of its work.
    await assert.rejects(
      first.prepare(() => context),
      { code: 'CA_NOT_LEADER' },
    )
    await assert.rejects(step(first, 'rollback'), { code: 'CA_NOT_LEADER' })
    assert.equal(first.leads, false)
    assert.equal(store.rotation, record)

    for (const command of STEPS.slice(done)) await step(second, command)
    assert.equal(second.state.current, 2)
    await first.refresh(context)
    assert.deepEqual(first.state, second.state)
  }
})

test('Authorities.rest leaves a leader as a follower, and store and record as they are', async () => {
  const store = new MemoryCaStore()
  const leader = await Authorities.open(optionsFor(store), { nowMs: NOW_MS, term: 3 })
  assert.match(store.rotation!, /"term": 3/)
  await leader.rest()
  await assert.rejects(
    leader.prepare(() => ({ nowMs: NOW_MS })),
    { code: 'CA_NOT_LEADER' },
  )
})

test('CertificateAuthority of a replica signs with the authority in force, for no longer than the leader reckons with', async () => {
  const store = new MemoryCaStore()
  const journal = new MemoryJournal()
  const options = { store, journal, crypto, trustDomain: TRUST_DOMAIN, intermediateTtlMs: 365 * DAY_MS }
  assert.equal(await CertificateAuthority.follow(options, { nowMs: NOW_MS }), undefined)
  const leader = await CertificateAuthority.open(
    { ...options, svidTtlMs: TTL_MS },
    { nowMs: NOW_MS, term: 1 },
  )
  const replica = (await CertificateAuthority.follow(
    { ...options, svidTtlMs: 4 * TTL_MS },
    { nowMs: NOW_MS },
  ))!
  const caller = { id: WEB, proof: 'test' }
  const csr = createCsr(crypto.generateKey('ec-p256'))
  const issue = (): ReturnType<typeof replica.issue> => replica.issue(caller, csr, { nowMs: NOW_MS })
  const before = await issue()
  assert.equal(before.expiresAtMs, NOW_MS + TTL_MS, 'the leader says how long')
  await leader.authorities.prepare(() => ({ nowMs: NOW_MS }))
  await step(leader.authorities, 'activate')
  const { rotation } = leader.authorities.state
  assert.ok(rotation!.absentUntilMs > before.expiresAtMs, 'what replicas have signed last counts')
  const after = await issue()
  const { certificate } = leader.authorities.signer.intermediate
  assert.equal(after.chain[1].serialNumber, certificate.serialNumber, 'at once')
})
