import assert from 'node:assert/strict'
import test from 'node:test'

import type { GroupName } from '../../src/crypto/provider.ts'
import { PROVIDERS } from './implementations.ts'

const SIZES: Readonly<Record<GroupName, readonly [share: number, answer: number, secret: number]>> = {
  x25519: [32, 32, 32],
  secp256r1: [65, 65, 32],
  secp384r1: [97, 97, 48],
  X25519MLKEM768: [1216, 1120, 64],
}

const INVALID_SHARE = { name: 'CryptoError', code: 'CRYPTO_INVALID_KEY_SHARE' }

test('beginKeyAgreement of each provider comes to the secret of the other that answers', () => {
  for (const initiator of PROVIDERS) {
    for (const responder of PROVIDERS) {
      for (const group of initiator.groups.filter((group) => responder.groups.includes(group))) {
        const ours = initiator.beginKeyAgreement(group)
        const theirs = responder.answerKeyAgreement(group, ours.share)
        const secret = ours.complete(theirs.share)
        const sizes = [ours.share.length, theirs.share.length, secret.length]
        assert.deepEqual(sizes, SIZES[group], `${initiator.name} to ${responder.name}, ${group}`)
        assert.deepEqual(secret, theirs.secret)
        assert.ok(secret.some((byte) => byte !== 0))
      }
    }
  }
})

test('beginKeyAgreement gives a new share each time', () => {
  for (const crypto of PROVIDERS)
    for (const group of crypto.groups)
      assert.notDeepEqual(crypto.beginKeyAgreement(group).share, crypto.beginKeyAgreement(group).share)
})

for (const crypto of PROVIDERS) {
  for (const group of crypto.groups) {
    test(`KeyAgreement of ${crypto.name} refuses ${group} shares of any other length`, () => {
      const { share } = crypto.answerKeyAgreement(group, crypto.beginKeyAgreement(group).share)
      const first = crypto.beginKeyAgreement(group).share
      for (const length of [0, 1, share.length - 1]) {
        const pending = crypto.beginKeyAgreement(group)
        assert.throws(() => pending.complete(share.subarray(0, length)), INVALID_SHARE)
      }
      for (const wrong of [new Uint8Array(0), first.subarray(1), new Uint8Array([...first, 0])])
        assert.throws(() => crypto.answerKeyAgreement(group, wrong), INVALID_SHARE)
      const pending = crypto.beginKeyAgreement(group)
      assert.throws(() => pending.complete(new Uint8Array([...share, 0])), INVALID_SHARE)
    })

    test(`PendingKeyAgreement of ${crypto.name} completes ${group} once`, () => {
      const pending = crypto.beginKeyAgreement(group)
      const { share } = crypto.answerKeyAgreement(group, pending.share)
      pending.complete(share)
      assert.throws(() => pending.complete(share), ReferenceError)
    })
  }

  test(`answerKeyAgreement of ${crypto.name} refuses X25519 points that lead to a secret of zeros`, () => {
    for (const point of LOW_ORDER_POINTS)
      assert.throws(
        () => crypto.answerKeyAgreement('x25519', Uint8Array.fromHex(point)),
        INVALID_SHARE,
        point,
      )
  })

  for (const group of ['secp256r1', 'secp384r1'] as const) {
    test(`answerKeyAgreement of ${crypto.name} refuses ${group} points off the curve or in another form`, () => {
      const { share } = crypto.beginKeyAgreement(group)
      const x = share.subarray(1, 1 + (share.length - 1) / 2)
      const offCurve = Uint8Array.from(share)
      offCurve[offCurve.length - 1]! ^= 1
      const hybrid = Uint8Array.from(share)
      hybrid[0] = 6 + (share.at(-1)! & 1)
      const shares = {
        'off the curve': offCurve,
        hybrid,
        compressed: new Uint8Array([2 + (share.at(-1)! & 1), ...x]),
        'compressed and padded': new Uint8Array([2 + (share.at(-1)! & 1), ...x, ...new Uint8Array(x.length)]),
        'at infinity': new Uint8Array(1),
        'all zeros': new Uint8Array(share.length),
        'zeros, uncompressed': new Uint8Array([4, ...new Uint8Array(share.length - 1)]),
        'beyond the field': new Uint8Array([4, ...new Uint8Array(share.length - 1).fill(0xff)]),
      }
      for (const [what, share] of Object.entries(shares))
        assert.throws(() => crypto.answerKeyAgreement(group, share), INVALID_SHARE, what)
    })
  }
}

for (const crypto of PROVIDERS) {
  test(`X25519MLKEM768 of ${crypto.name} refuses either half that is invalid`, () => {
    const { share } = crypto.beginKeyAgreement('X25519MLKEM768')
    const overflowing = Uint8Array.from(share).fill(0xff, 0, 3)
    assert.throws(() => crypto.answerKeyAgreement('X25519MLKEM768', overflowing), INVALID_SHARE)
    const lowOrder = Uint8Array.from(share).fill(0, 1184)
    assert.throws(() => crypto.answerKeyAgreement('X25519MLKEM768', lowOrder), INVALID_SHARE)
    const ours = crypto.beginKeyAgreement('X25519MLKEM768')
    const theirs = crypto.answerKeyAgreement('X25519MLKEM768', ours.share)
    assert.throws(() => ours.complete(Uint8Array.from(theirs.share).fill(0, 1088)), INVALID_SHARE)
  })

  test(`X25519MLKEM768 of ${crypto.name} puts ML-KEM first and mixes both halves in`, () => {
    const ours = crypto.beginKeyAgreement('X25519MLKEM768')
    const theirs = crypto.answerKeyAgreement('X25519MLKEM768', ours.share)
    const tampered = Uint8Array.from(theirs.share)
    tampered[0]! ^= 1
    const secret = ours.complete(tampered)
    assert.notDeepEqual(secret.subarray(0, 32), theirs.secret.subarray(0, 32))
    assert.deepEqual(secret.subarray(32), theirs.secret.subarray(32))
  })
}

/** Curve25519's points of order 1, 2, 4 and 8 and their non-canonical forms (https://cr.yp.to/ecdh.html#validate). */
const LOW_ORDER_POINTS: readonly string[] = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]
