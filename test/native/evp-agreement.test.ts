import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import test from 'node:test'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import type { EvpAgreements } from '../../src/native/evp-agreement.ts'
import { loadEvp } from '../../src/native/evp.ts'
import { residentGrowth } from '../support/garbage.ts'

const PUBLIC_KEY_BYTES = { x25519: 32, 'ml-kem-768': 1184, 'ml-kem-1024': 1568 } as const
const KEMS = [
  { kind: 'ml-kem-768', group: 'MLKEM768' },
  { kind: 'ml-kem-1024', group: 'MLKEM1024' },
] as const

function agreements(): EvpAgreements {
  const probe = loadEvp()
  assert.equal(probe.kind, 'available', probe.kind === 'missing' ? probe.reason : '')
  return probe.evp.agreements
}

test('EvpAgreements makes a new key each time', () => {
  for (const kind of ['x25519', 'ml-kem-768', 'ml-kem-1024'] as const) {
    using one = agreements().generate(kind)
    using other = agreements().generate(kind)
    assert.equal(one.publicKey.length, PUBLIC_KEY_BYTES[kind])
    assert.notDeepEqual(one.publicKey, other.publicKey)
  }
})

test('EvpAgreementKey agrees with another library about X25519', () => {
  const theirs = portableCrypto().beginKeyAgreement('x25519')
  using ours = agreements().generate('x25519')
  assert.deepEqual(ours.derive(theirs.share), theirs.complete(ours.publicKey))
})

test('EvpAgreements sends secrets of ML-KEM to another library, and reads those of another', () => {
  for (const { kind, group } of KEMS) {
    const theirs = portableCrypto().beginKeyAgreement(group)
    const sent = agreements().encapsulate(kind, theirs.share)!
    assert.deepEqual(sent.secret, theirs.complete(sent.ciphertext))
    using ours = agreements().generate(kind)
    const answer = portableCrypto().answerKeyAgreement(group, ours.publicKey)
    assert.deepEqual(ours.decapsulate(answer.share), answer.secret)
  }
})

test('EvpAgreementKey gives no secret for a point of small order, nor for bytes of another length', () => {
  using key = agreements().generate('x25519')
  const ofSmallOrder = new Uint8Array(32)
  for (const peerKey of [ofSmallOrder, new Uint8Array(31), new Uint8Array(33), new Uint8Array(0)])
    assert.equal(key.derive(peerKey), undefined)
  // The failures before leave nothing behind.
  using peer = agreements().generate('x25519')
  assert.deepEqual(key.derive(peer.publicKey), peer.derive(key.publicKey))
})

test('EvpAgreements encapsulates to no key that is not reduced or has another length (FIPS 203 §7.2)', () => {
  for (const { kind } of KEMS) {
    const length = PUBLIC_KEY_BYTES[kind]
    assert.equal(agreements().encapsulate(kind, new Uint8Array(length).fill(0xff)), undefined)
    for (const wrong of [0, length - 1, length + 1])
      assert.equal(agreements().encapsulate(kind, new Uint8Array(wrong)), undefined)
  }
})

test('EvpAgreementKey makes of a ciphertext for another a secret of its own, and of another length none', () => {
  for (const { kind } of KEMS) {
    using key = agreements().generate(kind)
    using other = agreements().generate(kind)
    const { ciphertext, secret } = agreements().encapsulate(kind, other.publicKey)!
    const rejected = key.decapsulate(ciphertext)
    assert.equal(rejected?.length, secret.length)
    assert.notDeepEqual(rejected, secret)
    assert.deepEqual(key.decapsulate(ciphertext), rejected)
    assert.equal(key.decapsulate(ciphertext.subarray(1)), undefined)
    assert.equal(key.decapsulate(new Uint8Array(ciphertext.length + 1)), undefined)
  }
})

test('EvpAgreementKey is not used after it was freed, which may happen twice', () => {
  const key = agreements().generate('x25519')
  const { publicKey } = key
  key[Symbol.dispose]()
  key[Symbol.dispose]()
  assert.throws(() => key.derive(publicKey), ReferenceError)
  const kem = agreements().generate('ml-kem-768')
  kem[Symbol.dispose]()
  assert.throws(() => kem.decapsulate(randomBytes(1088)), ReferenceError)
})

/** Leaking this many keys, or a context for each use, would show as more than 20 MB. */
const KEYS = 10_000
const MAX_GROWTH_BYTES = 8 * 1024 * 1024

test('EvpAgreements gives its memory back, also when the owner of a key forgets to free it', async (t) => {
  using peer = agreements().generate('x25519')
  const growth = await residentGrowth(KEYS, (i) => {
    const key = agreements().generate('x25519')
    key.derive(peer.publicKey)
    if (i % 2 === 0) key[Symbol.dispose]()
    if (i % 10 !== 0) return
    const kem = agreements().generate('ml-kem-768')
    kem.decapsulate(agreements().encapsulate('ml-kem-768', kem.publicKey)!.ciphertext)
    if (i % 20 === 0) kem[Symbol.dispose]()
  })
  t.diagnostic(`${KEYS} keys: RSS grew by ${growth} bytes`)
  assert.ok(growth < MAX_GROWTH_BYTES, `RSS grew by ${growth} bytes`)
})
