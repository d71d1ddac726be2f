import assert from 'node:assert/strict'
import test from 'node:test'

import type { GroupName, PendingKeyAgreement } from '../../src/crypto/provider.ts'
import { PROVIDERS } from './implementations.ts'

const SIZES: Readonly<Record<GroupName, readonly [share: number, answer: number, secret: number]>> = {
  x25519: [32, 32, 32],
  secp256r1: [65, 65, 32],
  secp384r1: [97, 97, 48],
  secp521r1: [133, 133, 66],
  X25519MLKEM768: [1216, 1120, 64],
  SecP256r1MLKEM768: [1249, 1153, 64],
  SecP384r1MLKEM1024: [1665, 1665, 80],
  MLKEM768: [1184, 1088, 32],
  MLKEM1024: [1568, 1568, 32],
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

test('PendingKeyAgreement that was forgotten comes to no secret where there was a key to release', () => {
  for (const crypto of PROVIDERS) {
    for (const group of crypto.groups) {
      const pending = crypto.beginKeyAgreement(group)
      const { share, secret } = crypto.answerKeyAgreement(group, pending.share)
      pending.forget?.()
      pending.forget?.()
      if (pending.forget !== undefined) assert.notDeepEqual(secretOf(pending, share), secret)
    }
  }
})

function secretOf(pending: PendingKeyAgreement, share: Uint8Array): Uint8Array | undefined {
  try {
    return pending.complete(share)
  } catch {
    return undefined
  }
}

test('PendingKeyAgreement can be forgotten when it is complete', () => {
  for (const crypto of PROVIDERS) {
    for (const group of crypto.groups) {
      const pending = crypto.beginKeyAgreement(group)
      const { share, secret } = crypto.answerKeyAgreement(group, pending.share)
      assert.deepEqual(pending.complete(share), secret)
      pending.forget?.()
    }
  }
})

test('PendingKeyAgreement of a hybrid group lets its half of Diffie-Hellman be chosen instead, but not both', () => {
  for (const crypto of PROVIDERS) {
    const halves = {
      X25519MLKEM768: 'x25519',
      SecP256r1MLKEM768: 'secp256r1',
      SecP384r1MLKEM1024: 'secp384r1',
    } as const
    for (const [group, half] of Object.entries(halves)) {
      const hybrid = crypto.beginKeyAgreement(group as GroupName)
      const classical = hybrid.classical!
      assert.equal(classical.group, half)
      const { share, secret } = crypto.answerKeyAgreement(half, classical.share)
      assert.deepEqual(classical.complete(share), secret)
      const answer = crypto.answerKeyAgreement(group as GroupName, hybrid.share)
      assert.throws(() => hybrid.complete(answer.share), ReferenceError)
    }
    assert.equal(crypto.beginKeyAgreement('MLKEM768').classical, undefined)
    assert.equal(crypto.beginKeyAgreement('x25519').classical, undefined)
  }
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

  for (const group of ['secp256r1', 'secp384r1', 'secp521r1'] as const) {
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

/** Where the halves of a hybrid group lie: ML-KEM's key, its ciphertext and its secret; the rest is Diffie-Hellman. */
const HYBRIDS = [
  { group: 'X25519MLKEM768', kem: { key: [0, 1184], ciphertext: [0, 1088], secret: [0, 32] } },
  { group: 'SecP256r1MLKEM768', kem: { key: [65, 1249], ciphertext: [65, 1153], secret: [32, 64] } },
  { group: 'SecP384r1MLKEM1024', kem: { key: [97, 1665], ciphertext: [97, 1665], secret: [48, 80] } },
] as const

for (const crypto of PROVIDERS) {
  for (const { group, kem } of HYBRIDS) {
    test(`${group} of ${crypto.name} refuses either half that is invalid`, () => {
      const { share } = crypto.beginKeyAgreement(group)
      // Twelve bits each make a coefficient, and these are above the modulus (FIPS 203 §7.2).
      const unreduced = Uint8Array.from(share).fill(0xff, kem.key[0], kem.key[0] + 3)
      assert.throws(() => crypto.answerKeyAgreement(group, unreduced), INVALID_SHARE)
      assert.throws(() => crypto.answerKeyAgreement(group, zeroedOutside(share, kem.key)), INVALID_SHARE)
      const ours = crypto.beginKeyAgreement(group)
      const theirs = crypto.answerKeyAgreement(group, ours.share)
      assert.throws(() => ours.complete(zeroedOutside(theirs.share, kem.ciphertext)), INVALID_SHARE)
    })

    test(`${group} of ${crypto.name} mixes both halves in, in their order`, () => {
      const ours = crypto.beginKeyAgreement(group)
      const theirs = crypto.answerKeyAgreement(group, ours.share)
      const tampered = Uint8Array.from(theirs.share)
      tampered[kem.ciphertext[0]]! ^= 1
      const secret = ours.complete(tampered)
      assert.notDeepEqual(secret.subarray(...kem.secret), theirs.secret.subarray(...kem.secret))
      assert.deepEqual(zeroedInside(secret, kem.secret), zeroedInside(theirs.secret, kem.secret))
    })
  }

  for (const group of ['MLKEM768', 'MLKEM1024'] as const) {
    test(`${group} of ${crypto.name} refuses encapsulation keys that are not reduced`, () => {
      const { share } = crypto.beginKeyAgreement(group)
      for (const at of [0, share.length - 35]) {
        const unreduced = Uint8Array.from(share).fill(0xff, at, at + 3)
        assert.throws(() => crypto.answerKeyAgreement(group, unreduced), INVALID_SHARE)
      }
    })

    test(`${group} of ${crypto.name} comes to a secret of its own with a ciphertext that was tampered with`, () => {
      const ours = crypto.beginKeyAgreement(group)
      const theirs = crypto.answerKeyAgreement(group, ours.share)
      const tampered = Uint8Array.from(theirs.share)
      tampered[0]! ^= 1
      assert.notDeepEqual(ours.complete(tampered), theirs.secret)
    })
  }
}

function zeroedOutside(bytes: Uint8Array, [start, end]: readonly [number, number]): Uint8Array {
  const zeroed = new Uint8Array(bytes.length)
  zeroed.set(bytes.subarray(start, end), start)
  return zeroed
}

function zeroedInside(bytes: Uint8Array, [start, end]: readonly [number, number]): Uint8Array {
  return Uint8Array.from(bytes).fill(0, start, end)
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
