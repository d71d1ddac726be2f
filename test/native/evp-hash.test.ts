import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import test from 'node:test'
import { loadEvp } from '../../src/native/evp.ts'
import type { EvpHashes, EvpHashName } from '../../src/native/evp-hash.ts'
import { residentGrowth } from '../support/garbage.ts'

const NAMES: readonly EvpHashName[] = ['sha256', 'sha384', 'sha512']

/** Around the block of each hash, and around what is copied before a call. */
const LENGTHS = [0, 1, 31, 32, 33, 63, 64, 65, 111, 112, 127, 128, 129, 511, 512, 513, 16_384, 100_000]

function hashes(): EvpHashes {
  const probe = loadEvp()
  assert.equal(probe.kind, 'available', probe.kind === 'missing' ? probe.reason : '')
  return probe.evp.hashes
}

test('EvpHashes gives the digests of node:crypto, and leaves the message as it is', () => {
  for (const name of NAMES) {
    for (const length of LENGTHS) {
      const message = randomBytes(length)
      const before = Buffer.from(message)
      assert.equal(hashes().digest(name, message).toHex(), createHash(name).update(message).digest('hex'))
      assert.deepEqual(message, before)
    }
  }
})

test('EvpHashes gives the HMACs of node:crypto, for every length of key and message', () => {
  for (const name of NAMES) {
    for (const keyLength of LENGTHS) {
      for (const length of [0, 50, 64, 513]) {
        const [key, message] = [randomBytes(keyLength), randomBytes(length)]
        const expected = createHmac(name, key).update(message).digest('hex')
        assert.equal(hashes().hmac(name, key, message).toHex(), expected, `${name} ${keyLength} ${length}`)
      }
    }
  }
})

test('EvpHashes reads and writes no other memory than it is given', () => {
  const whole = randomBytes(300)
  const part = whole.subarray(7, 131)
  const copy = Buffer.from(whole)
  assert.deepEqual(hashes().digest('sha384', part), hashes().digest('sha384', Uint8Array.from(part)))
  assert.deepEqual(hashes().hmac('sha384', part, part), hashes().hmac('sha384', Uint8Array.from(part), part))
  assert.deepEqual(whole, copy)
})

test('EvpHashes gives out arrays that belong to the caller', () => {
  const first = hashes().hmac('sha256', new Uint8Array(32), new Uint8Array(1))
  const second = hashes().hmac('sha256', new Uint8Array(32), new Uint8Array(1))
  assert.deepEqual(first, second)
  first.fill(0)
  assert.notDeepEqual(first, second)
})

test('EvpHash can be read at any time, cloned, and not used after it was freed', () => {
  for (const name of NAMES) {
    const message = randomBytes(1000)
    using hash = hashes().begin(name)
    hash.update(message.subarray(0, 400))
    const before = createHash(name).update(message.subarray(0, 400)).digest('hex')
    assert.equal(hash.digest().toHex(), before)
    const clone = hash.clone()
    clone.update(message.subarray(400))
    assert.equal(clone.digest().toHex(), createHash(name).update(message).digest('hex'))
    assert.equal(hash.digest().toHex(), before)
    clone[Symbol.dispose]()
    clone[Symbol.dispose]()
    for (const use of [() => clone.update(message), () => clone.digest(), () => clone.clone()])
      assert.throws(use, ReferenceError)
  }
})

/** Leaking this many contexts would show as more than 20 MB. */
const CONTEXTS = 50_000
const MAX_GROWTH_BYTES = 8 * 1024 * 1024

test('EvpHash gives its memory back, also when its owner forgets to free it', async (t) => {
  const message = randomBytes(100)
  const growth = await residentGrowth(CONTEXTS, (i) => {
    const hash = hashes().begin('sha256')
    hash.update(message)
    if (i % 2 === 0) hash[Symbol.dispose]()
  })
  t.diagnostic(`${CONTEXTS} hashes: RSS grew by ${growth} bytes`)
  assert.ok(growth < MAX_GROWTH_BYTES, `RSS grew by ${growth} bytes`)
})
