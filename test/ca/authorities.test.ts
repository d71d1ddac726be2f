import assert from 'node:assert/strict'
import test from 'node:test'
import { Authorities } from '../../src/ca/authorities.ts'
import { CertificateAuthority } from '../../src/ca/authority.ts'
import { probeGeneration } from '../../src/ca/bridge.ts'
import { advanceRotation, type RotationCommand, stepRotation } from '../../src/ca/rotation.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import { trustBundle, TrustBundles } from '../../src/identity/trust-bundle.ts'
import type { Certificate } from '../../src/pki/certificate.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { MemoryCaStore, MemoryJournal, TRUST_DOMAIN, WEB } from '../support/memory-ca.ts'

const NOW_MS = Date.UTC(2026, 5, 1, 12)
const TTL_MS = 3_600_000
const DAY_MS = 24 * TTL_MS
const crypto = nativeCrypto()
const FLEET = { followers: [], settled: true }

type Step = 'prepare' | 'advance' | RotationCommand

const FORWARD: readonly Step[] = ['prepare', 'advance', 'activate', 'taint', 'remove']
const BACK: readonly Step[] = ['prepare', 'activate', 'taint', 'rollback', 'advance']

function open(store: MemoryCaStore, nowMs = NOW_MS): Promise<Authorities> {
  return Authorities.open(
    { store, crypto, trustDomain: TRUST_DOMAIN, intermediateTtlMs: 365 * DAY_MS, svidTtlMs: TTL_MS },
    { nowMs },
  )
}

/** Takes a step at a time when nothing has to be waited for. */
async function take(authorities: Authorities, step: Step, nowMs: number): Promise<void> {
  if (step === 'prepare') {
    await authorities.prepare(() => ({ nowMs }))
    return
  }
  const context = { nowMs, fleet: FLEET }
  await authorities.change((state) =>
    step === 'advance'
      ? { kind: 'moved', state: advanceRotation(state, context) }
      : stepRotation(state, step, context),
  )
}

/** Verifies what the authority signs now with each bundle. */
async function verifiable(
  authorities: Authorities,
  nowMs: number,
  ...bundles: (readonly Certificate[])[]
): Promise<void> {
  for (const bundle of bundles) {
    let failure: unknown
    for (const anchor of bundle) {
      const { signer } = authorities
      try {
        await probeGeneration(signer, { anchor, trustDomain: TRUST_DOMAIN, crypto, nowMs })
        failure = undefined
        break
      } catch (error) {
        failure = error
      }
    }
    assert.equal(failure, undefined)
  }
}

test('Authorities survive a crash at every write of a rotation, and go on from there or back', async () => {
  let crashes = 0
  for (const [story, ending] of [
    [FORWARD, ['activate', 'taint', 'remove']],
    [FORWARD, ['rollback', 'advance']],
    [BACK, ['activate', 'taint', 'remove']],
    [BACK, ['rollback', 'advance']],
  ] as const) {
    for (let writes = 0; ; writes++) {
      const store = new MemoryCaStore()
      const dying = await open(store)
      store.writesLeft = writes
      /** What a proxy that is always up to date trusts. */
      let known = dying.anchors
      let nowMs = NOW_MS
      try {
        for (const step of story) {
          nowMs += TTL_MS
          await take(dying, step, nowMs)
          known = dying.anchors
        }
      } catch {
        crashes++
      }
      const over = store.writesLeft > 0
      store.writesLeft = Infinity

      const authorities = await open(store, nowMs)
      const root = authorities.signer.root.certificate
      assert.ok(authorities.anchors.includes(root), 'a bundle without the root in use')
      await verifiable(authorities, nowMs, known, authorities.anchors)
      const slots = [...store.held.keys()]
      assert.equal(slots.length, authorities.anchors.length * 2, `keys lie about: ${slots.join()}`)

      for (const step of ending) await take(authorities, step, (nowMs += TTL_MS))
      assert.equal(authorities.state.rotation, undefined)
      assert.equal(authorities.anchors.length, 1)
      await verifiable(authorities, nowMs, authorities.anchors)
      assert.equal(store.held.size, 2)
      if (over) break
    }
  }
  assert.ok(crashes > 30, `${crashes} crashes`)
})

test('Authorities go by what is on the disk when a write fails late', async () => {
  const store = new MemoryCaStore()
  const authorities = await open(store)
  await take(authorities, 'prepare', NOW_MS)
  const save = store.saveRotation.bind(store)
  store.saveRotation = async (record) => {
    await save(record)
    throw new Error('The directory could not be flushed')
  }
  await take(authorities, 'activate', NOW_MS)
  assert.equal(authorities.signer.number, 2)
  store.saveRotation = () => Promise.reject(new Error('The disk is full'))
  await assert.rejects(take(authorities, 'taint', NOW_MS), { message: 'The disk is full' })
  assert.equal(authorities.state.rotation?.stage, 'active')
})

test('Authorities bridge from the old root to the new one while both are trusted, and no longer', async () => {
  const authorities = await open(new MemoryCaStore())
  const old = authorities.anchors
  await take(authorities, 'prepare', NOW_MS)
  assert.equal(authorities.presented.length, 1)
  await take(authorities, 'activate', NOW_MS)
  assert.equal(authorities.presented.length, 2)
  await verifiable(authorities, NOW_MS, old, authorities.anchors)
  await take(authorities, 'taint', NOW_MS)
  await take(authorities, 'remove', NOW_MS + TTL_MS)
  assert.equal(authorities.presented.length, 1)
  assert.notDeepEqual(authorities.anchors[0]!.subject.text, old[0]!.subject.text)
  assert.ok(authorities.bridge!.issuer.equals(old[0]!.subject))
})

test('CertificateAuthority.issue signs with the authority in force, shown with what leads to either root', async () => {
  const journal = new MemoryJournal()
  const authority = await CertificateAuthority.open(
    { store: new MemoryCaStore(), journal, crypto, trustDomain: TRUST_DOMAIN, intermediateTtlMs: DAY_MS },
    { nowMs: NOW_MS },
  )
  const { authorities } = authority
  const issue = (): ReturnType<CertificateAuthority['issue']> =>
    authority.issue({ id: WEB, proof: 'test' }, createCsr(crypto.generateKey('ec-p256')), { nowMs: NOW_MS })
  const verify = (chain: readonly Certificate[], anchors: readonly Certificate[]): void => {
    const bundles = TrustBundles.of(trustBundle(TRUST_DOMAIN, anchors))
    svidVerifier({ bundles: () => bundles, crypto }).verify(chain, { peerRole: 'server', nowMs: NOW_MS })
  }
  const old = authorities.anchors
  await take(authorities, 'prepare', NOW_MS)
  const before = await issue()
  await take(authorities, 'activate', NOW_MS)
  const after = await issue()
  const next = authorities.anchors.slice(1)
  verify(before.chain, old)
  verify(after.chain, old)
  verify(after.chain, next)
  assert.throws(() => verify(before.chain, next), { code: 'PKI_UNKNOWN_ISSUER' })
  await take(authorities, 'rollback', NOW_MS)
  verify((await issue()).chain, old)
  assert.equal(authority.bundle.anchors.length, 2)
})

test('CertificateAuthority.issue waits for a step that is being written', async () => {
  const store = new MemoryCaStore()
  const authority = await CertificateAuthority.open(
    { store, journal: new MemoryJournal(), crypto, trustDomain: TRUST_DOMAIN, intermediateTtlMs: DAY_MS },
    { nowMs: NOW_MS },
  )
  const { authorities } = authority
  await take(authorities, 'prepare', NOW_MS)
  const old = authorities.signer.intermediate.certificate
  const written = Promise.withResolvers<void>()
  const save = store.saveRotation.bind(store)
  store.saveRotation = async (record) => {
    await written.promise
    await save(record)
  }
  const activated = take(authorities, 'activate', NOW_MS)
  const issuing = authority.issue({ id: WEB, proof: 'test' }, createCsr(crypto.generateKey('ec-p256')), {
    nowMs: NOW_MS,
  })
  written.resolve()
  await activated
  assert.notDeepEqual((await issuing).chain[1].der, old.der)
})
