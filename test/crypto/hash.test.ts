import assert from 'node:assert/strict'
import test from 'node:test'

import * as fc from 'fast-check'

import { utf8 } from '../../src/bytes/bytes.ts'
import { HASH_BYTES, type HashName } from '../../src/crypto/provider.ts'
import { PROVIDERS } from './implementations.ts'

/** Of the message "abc": FIPS 180-4's examples. */
const ABC: Readonly<Record<HashName, string>> = {
  sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  sha384: 'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7',
  sha512:
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd' +
    '454d4423643ce80e2a9ac94fa54ca49f',
}

const HASHES = Object.keys(ABC) as HashName[]

for (const crypto of PROVIDERS) {
  test(`digest of ${crypto.name} gives the known answers`, () => {
    for (const hash of HASHES) assert.equal(crypto.digest(hash, utf8('abc')).toHex(), ABC[hash])
  })

  test(`HashContext of ${crypto.name} can be read at any time and goes on`, () => {
    for (const hash of HASHES) {
      const transcript = crypto.hash(hash)
      transcript.update(utf8('a'))
      assert.deepEqual(transcript.digest(), crypto.digest(hash, utf8('a')))
      transcript.update(utf8('bc'))
      assert.equal(transcript.digest().toHex(), ABC[hash])
      assert.equal(transcript.digest().toHex(), ABC[hash])
    }
  })

  test(`HashContext of ${crypto.name} gives clones that go their own ways`, () => {
    const first = crypto.hash('sha384')
    first.update(utf8('ab'))
    const second = first.clone()
    first.update(utf8('x'))
    second.update(utf8('c'))
    assert.equal(second.digest().toHex(), ABC.sha384)
    assert.deepEqual(first.digest(), crypto.digest('sha384', utf8('abx')))
  })

  test(`CryptoProvider ${crypto.name} gives out plain arrays that belong to the caller`, () => {
    const hash = crypto.hash('sha256')
    hash.digest().fill(0)
    assert.deepEqual(hash.digest(), crypto.digest('sha256', new Uint8Array(0)))
    const key = crypto.generateKey('ec-p256')
    const ours = crypto.beginKeyAgreement('secp256r1')
    const theirs = crypto.answerKeyAgreement('secp256r1', ours.share)
    for (const bytes of [
      hash.digest(),
      crypto.digest('sha512', new Uint8Array(1)),
      crypto.hmac('sha256', new Uint8Array(0), new Uint8Array(0)),
      crypto.random(3),
      key.exportPkcs8(),
      key.publicKey.spki,
      key.sign({ kind: 'ecdsa', hash: 'sha256' }, new Uint8Array(2)),
      theirs.share,
      theirs.secret,
      ours.share,
      ours.complete(theirs.share),
    ])
      assert.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype)
  })

  test(`random of ${crypto.name} fills any length, and differs each time`, () => {
    for (const length of [0, 1, 32, 65_536, 65_537, 200_000])
      assert.equal(crypto.random(length).length, length)
    assert.notDeepEqual(crypto.random(32), crypto.random(32))
    assert.ok(
      crypto
        .random(200_000)
        .subarray(-1000)
        .some((byte) => byte !== 0),
    )
  })
}

test('HashContext and hmac of both providers agree on anything, in any pieces', () => {
  const [native, portable] = PROVIDERS as [(typeof PROVIDERS)[0], (typeof PROVIDERS)[0]]
  const bytes = fc.uint8Array({ maxLength: 300 })
  fc.assert(
    fc.property(fc.constantFrom(...HASHES), fc.array(bytes, { maxLength: 6 }), bytes, (hash, pieces, key) => {
      const [one, other] = [native.hash(hash), portable.hash(hash)]
      for (const piece of pieces) {
        one.update(piece)
        other.update(piece)
        assert.deepEqual(one.digest(), other.digest())
      }
      assert.equal(one.digest().length, HASH_BYTES[hash])
      assert.deepEqual(native.hmac(hash, key, one.digest()), portable.hmac(hash, key, one.digest()))
    }),
  )
})
