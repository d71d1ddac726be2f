import assert from 'node:assert/strict'
import test from 'node:test'

import * as fc from 'fast-check'

import {
  AEAD_KEY_BYTES,
  AEAD_TAG_BYTES,
  type AeadName,
  type CryptoProvider,
} from '../../src/crypto/provider.ts'
import { AEAD_IMPLEMENTATIONS, AEADS } from './implementations.ts'

test('AeadOpener of every implementation opens what every other one sealed', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...AEADS),
      fc.integer({ min: 0, max: 20_000 }),
      fc.integer({ min: 0, max: 300 }),
      (aead, length, additionalBytes) => {
        const [[, first]] = AEAD_IMPLEMENTATIONS as [(typeof AEAD_IMPLEMENTATIONS)[0]]
        const key = first.random(AEAD_KEY_BYTES[aead])
        const nonce = first.random(12)
        const additionalData = first.random(additionalBytes)
        const plaintext = first.random(length)
        for (const [sealerName, by] of AEAD_IMPLEMENTATIONS) {
          using sealer = by.sealer(aead, key)
          const sealed = new Uint8Array(length + AEAD_TAG_BYTES)
          assert.equal(sealer.seal(nonce, additionalData, plaintext, sealed), sealed.length)
          for (const [openerName, other] of AEAD_IMPLEMENTATIONS) {
            using opener = other.opener(aead, key)
            const opened = new Uint8Array(length)
            assert.equal(
              opener.open(nonce, additionalData, sealed, opened),
              length,
              `${sealerName} to ${openerName}`,
            )
            assert.deepEqual(opened, plaintext)
          }
        }
      },
    ),
    { numRuns: 60 },
  )
})

for (const [name, crypto] of AEAD_IMPLEMENTATIONS) {
  for (const aead of AEADS) {
    test(`AeadOpener of ${name} refuses ${aead} records with any one byte changed, and leaves no plaintext`, () => {
      const { nonce, additionalData, plaintext, sealed, key } = record(crypto, aead)
      using opener = crypto.opener(aead, key)
      const output = new Uint8Array(plaintext.length)
      for (const input of [nonce, additionalData, sealed]) {
        for (let i = 0; i < input.length; i++) {
          input[i]! ^= 1 << (i % 8)
          output.fill(0xee)
          assert.equal(opener.open(nonce, additionalData, sealed, output), -1)
          assert.notDeepEqual(output, plaintext)
          input[i]! ^= 1 << (i % 8)
        }
      }
      for (let length = 0; length < sealed.length; length++)
        assert.equal(opener.open(nonce, additionalData, sealed.subarray(0, length), output), -1)
      assert.equal(opener.open(nonce, additionalData, sealed, output), plaintext.length)
      assert.deepEqual(output, plaintext)
    })

    test(`AeadSealer of ${name} seals ${aead} in place and leaves its other inputs unchanged`, () => {
      const { key, nonce, additionalData, plaintext, sealed } = record(crypto, aead)
      using sealer = crypto.sealer(aead, key)
      using opener = crypto.opener(aead, key)
      const buffer = new Uint8Array(sealed.length)
      buffer.set(plaintext)
      const before = [nonce, additionalData].map((bytes) => Uint8Array.from(bytes))
      sealer.seal(nonce, additionalData, buffer.subarray(0, plaintext.length), buffer)
      assert.deepEqual(buffer, sealed)
      assert.equal(opener.open(nonce, additionalData, buffer, buffer), plaintext.length)
      assert.deepEqual(buffer.subarray(0, plaintext.length), plaintext)
      assert.deepEqual([nonce, additionalData], before)
    })

    test(`AeadSealer of ${name} keeps its own copy of the ${aead} key`, () => {
      const { key, nonce, additionalData, plaintext, sealed } = record(crypto, aead)
      using sealer = crypto.sealer(aead, key)
      key.fill(0)
      const output = new Uint8Array(sealed.length)
      sealer.seal(nonce, additionalData, plaintext, output)
      assert.deepEqual(output, sealed)
    })

    test(`AeadSealer and AeadOpener of ${name} refuse misuse with ${aead}`, () => {
      const { key, nonce, additionalData, plaintext, sealed } = record(crypto, aead)
      assert.throws(() => crypto.sealer(aead, key.subarray(1)), RangeError)
      assert.throws(() => crypto.opener(aead, key.subarray(1)), RangeError)
      const sealer = crypto.sealer(aead, key)
      const opener = crypto.opener(aead, key)
      const output = new Uint8Array(sealed.length)
      for (const wrong of [new Uint8Array(0), new Uint8Array(11), new Uint8Array(13)]) {
        assert.throws(() => sealer.seal(wrong, additionalData, plaintext, output), RangeError)
        assert.throws(() => opener.open(wrong, additionalData, sealed, output), RangeError)
      }
      assert.throws(() => sealer.seal(nonce, additionalData, plaintext, output.subarray(1)), RangeError)
      assert.throws(() => opener.open(nonce, additionalData, sealed, output.subarray(17)), RangeError)
      const shifted = sealed.subarray(1)
      assert.throws(() => opener.open(nonce, additionalData, sealed, shifted), RangeError)
      assert.ok(output.every((byte) => byte === 0))
      for (const freed of [sealer, opener, sealer, opener]) freed[Symbol.dispose]()
      assert.throws(() => sealer.seal(nonce, additionalData, plaintext, output), ReferenceError)
      assert.throws(() => opener.open(nonce, additionalData, sealed, output), ReferenceError)
    })
  }
}

interface Sealed {
  readonly key: Uint8Array
  readonly nonce: Uint8Array
  readonly additionalData: Uint8Array
  readonly plaintext: Uint8Array
  readonly sealed: Uint8Array
}

function record(crypto: CryptoProvider, aead: AeadName): Sealed {
  const key = crypto.random(AEAD_KEY_BYTES[aead])
  const [nonce, additionalData, plaintext] = [crypto.random(12), crypto.random(5), crypto.random(40)]
  const sealed = new Uint8Array(plaintext.length + AEAD_TAG_BYTES)
  using sealer = crypto.sealer(aead, key)
  sealer.seal(nonce, additionalData, plaintext, sealed)
  return { key, nonce, additionalData, plaintext, sealed }
}
