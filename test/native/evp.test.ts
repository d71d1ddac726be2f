import assert from 'node:assert/strict'
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import test from 'node:test'

import { type Evp, type EvpAeadName, loadEvp } from '../../src/native/evp.ts'
import { collectGarbage, residentGrowth } from '../support/garbage.ts'

const KEY_BYTES: Readonly<Record<EvpAeadName, number>> = {
  'aes-128-gcm': 16,
  'aes-256-gcm': 32,
  'chacha20-poly1305': 32,
}
const AEADS = Object.keys(KEY_BYTES) as EvpAeadName[]

function evp(): Evp {
  const probe = loadEvp()
  assert.equal(probe.kind, 'available', probe.kind === 'missing' ? probe.reason : '')
  return probe.evp
}

test('loadEvp finds the symbols of this Node, and looks only once', () => {
  assert.equal(loadEvp(), loadEvp())
  assert.equal(loadEvp().kind, 'available')
})

test('EvpSealer writes what node:crypto writes, EvpOpener reads it', () => {
  for (const aead of AEADS) {
    const key = randomBytes(KEY_BYTES[aead])
    using sealer = evp().sealer(aead, key)
    using opener = evp().opener(aead, key)
    for (const length of [0, 1, 15, 16, 17, 255, 16_384, 16_385]) {
      const [nonce, additionalData, plaintext] = [
        randomBytes(12),
        randomBytes(length % 40),
        randomBytes(length),
      ]
      const output = new Uint8Array(length + 16)
      assert.equal(sealer.seal(nonce, additionalData, plaintext, output), length + 16)
      const cipher = createCipheriv(aead as 'aes-128-gcm', key, nonce, { authTagLength: 16 })
      cipher.setAAD(additionalData)
      const expected = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
      assert.deepEqual(Buffer.from(output), expected, `${aead}, ${length} bytes`)
      const opened = new Uint8Array(length)
      assert.equal(opener.open(nonce, additionalData, output, opened), length)
      assert.deepEqual(Buffer.from(opened), plaintext)
    }
  }
})

test('EvpSealer and EvpOpener work in place and at any offset of a larger buffer', () => {
  for (const aead of AEADS) {
    const key = randomBytes(KEY_BYTES[aead])
    using sealer = evp().sealer(aead, key)
    using opener = evp().opener(aead, key)
    const nonce = randomBytes(12)
    const plaintext = randomBytes(1000)
    for (const offset of [0, 1, 5, 13]) {
      const buffer = new Uint8Array(1100).fill(0xee)
      const header = buffer.subarray(0, offset)
      buffer.set(plaintext, offset)
      sealer.seal(nonce, header, buffer.subarray(offset, offset + 1000), buffer.subarray(offset))
      assert.notDeepEqual(Buffer.from(buffer.subarray(offset, offset + 1000)), plaintext)
      assert.ok(
        buffer.subarray(offset + 1016).every((byte) => byte === 0xee),
        'wrote beyond the tag',
      )
      const sealed = buffer.subarray(offset, offset + 1016)
      assert.equal(opener.open(nonce, header, sealed, sealed), 1000)
      assert.deepEqual(Buffer.from(buffer.subarray(offset, offset + 1000)), plaintext)
    }
  }
})

test('EvpOpener leaves no plaintext of inauthentic input, in place neither', () => {
  for (const aead of AEADS) {
    const key = randomBytes(KEY_BYTES[aead])
    using sealer = evp().sealer(aead, key)
    using opener = evp().opener(aead, key)
    const nonce = randomBytes(12)
    const sealed = new Uint8Array(316)
    sealer.seal(nonce, nonce, new Uint8Array(300).fill(0x41), sealed)
    sealed[315]! ^= 1
    const output = new Uint8Array(310).fill(0xee)
    assert.equal(opener.open(nonce, nonce, sealed, output), -1)
    assert.ok(output.subarray(0, 300).every((byte) => byte === 0))
    assert.ok(output.subarray(300).every((byte) => byte === 0xee))
    assert.equal(opener.open(nonce, nonce, sealed, sealed), -1)
    assert.ok(sealed.subarray(0, 300).every((byte) => byte === 0))
  }
})

test('EvpOpener works on after inauthentic input, and leaves no error for others to find', () => {
  const key = randomBytes(16)
  using sealer = evp().sealer('aes-128-gcm', key)
  using opener = evp().opener('aes-128-gcm', key)
  const nonce = new Uint8Array(12)
  const sealed = new Uint8Array(21)
  sealer.seal(nonce, nonce, new Uint8Array(5), sealed)
  assert.equal(opener.open(nonce, new Uint8Array(3), sealed, new Uint8Array(5)), -1)
  assert.equal(opener.open(nonce, nonce, sealed, new Uint8Array(5)), 5)
  const decipher = createDecipheriv('aes-128-gcm', key, nonce)
  decipher.setAAD(nonce).setAuthTag(sealed.subarray(5))
  assert.equal(Buffer.concat([decipher.update(sealed.subarray(0, 5)), decipher.final()]).length, 5)
})

test('EvpSealer checks every length before it touches memory', () => {
  using sealer = evp().sealer('aes-128-gcm', new Uint8Array(16))
  const nonce = new Uint8Array(12)
  const none = new Uint8Array(0)
  const output = new Uint8Array(116).fill(0xee)
  const text = new Uint8Array(100)
  assert.throws(() => sealer.seal(new Uint8Array(11), none, text, output), RangeError)
  assert.throws(() => sealer.seal(new Uint8Array(13), none, text, output), RangeError)
  assert.throws(() => sealer.seal(none, none, text, output), RangeError)
  assert.throws(() => sealer.seal(nonce, none, text, output.subarray(1)), RangeError)
  assert.throws(() => sealer.seal(nonce, none, text, none), RangeError)
  assert.throws(() => sealer.seal(nonce, none, none, new Uint8Array(15)), RangeError)
  const detached = new Uint8Array(200)
  structuredClone(detached.buffer, { transfer: [detached.buffer] })
  assert.throws(() => sealer.seal(nonce, none, text, detached), RangeError)
  assert.throws(() => sealer.seal(detached, none, text, output), RangeError)
  assert.ok(output.every((byte) => byte === 0xee))
})

test('EvpOpener checks every length before it touches memory', () => {
  using opener = evp().opener('aes-128-gcm', new Uint8Array(16))
  const nonce = new Uint8Array(12)
  const none = new Uint8Array(0)
  const output = new Uint8Array(100).fill(0xee)
  const sealed = new Uint8Array(116)
  assert.throws(() => opener.open(new Uint8Array(11), none, sealed, output), RangeError)
  assert.throws(() => opener.open(nonce, none, sealed, output.subarray(1)), RangeError)
  assert.equal(opener.open(nonce, none, new Uint8Array(15), output), -1)
  assert.equal(opener.open(nonce, none, none, output), -1)
  assert.ok(output.every((byte) => byte === 0xee))
})

test('EvpSealer and EvpOpener refuse an output that overlaps the input elsewhere than at its beginning', () => {
  using sealer = evp().sealer('aes-128-gcm', new Uint8Array(16))
  using opener = evp().opener('aes-128-gcm', new Uint8Array(16))
  const nonce = new Uint8Array(12)
  const none = new Uint8Array(0)
  const buffer = new Uint8Array(400)
  const text = buffer.subarray(150, 250)
  for (const begin of [35, 149, 151, 249])
    assert.throws(() => sealer.seal(nonce, none, text, buffer.subarray(begin)), /overlaps/, `at ${begin}`)
  for (const begin of [67, 149, 151, 249])
    assert.throws(() => opener.open(nonce, none, text, buffer.subarray(begin)), /overlaps/, `at ${begin}`)
  for (const begin of [34, 150, 250])
    assert.equal(sealer.seal(nonce, none, text, buffer.subarray(begin)), 116)
})

test('Evp refuses keys of the wrong length', () => {
  for (const aead of AEADS) {
    for (const wrong of [0, KEY_BYTES[aead] - 1, KEY_BYTES[aead] + 1, 24]) {
      assert.throws(() => evp().sealer(aead, new Uint8Array(wrong)), RangeError)
      assert.throws(() => evp().opener(aead, new Uint8Array(wrong)), RangeError)
    }
  }
})

test('EvpSealer and EvpOpener throw after they were freed, and are freed once', () => {
  const sealer = evp().sealer('aes-256-gcm', new Uint8Array(32))
  const opener = evp().opener('aes-256-gcm', new Uint8Array(32))
  const nonce = new Uint8Array(12)
  for (let times = 0; times < 3; times++) {
    sealer[Symbol.dispose]()
    opener[Symbol.dispose]()
  }
  assert.throws(() => sealer.seal(nonce, nonce, nonce, new Uint8Array(28)), ReferenceError)
  assert.throws(() => opener.open(nonce, nonce, new Uint8Array(16), nonce), ReferenceError)
  assert.throws(() => opener.open(nonce, nonce, new Uint8Array(3), nonce), ReferenceError)
})

test('EvpSealer reads and writes the right memory while the garbage collector moves things', () => {
  const key = randomBytes(16)
  using sealer = evp().sealer('aes-128-gcm', key)
  using opener = evp().opener('aes-128-gcm', key)
  for (let round = 0; round < 200; round++) {
    // Arrays this small begin their lives inside V8's moving heap.
    const nonce = new Uint8Array(12).fill(round)
    const plaintext = new Uint8Array(32).fill(round)
    const output = new Uint8Array(48)
    if (round % 10 === 0) collectGarbage()
    sealer.seal(nonce, nonce, plaintext, output)
    if (round % 10 === 5) collectGarbage()
    const opened = new Uint8Array(32)
    assert.equal(opener.open(nonce, nonce, output, opened), 32)
    assert.deepEqual(opened, new Uint8Array(32).fill(round))
  }
})

/** Leaking this many contexts would show as more than 20 MB. */
const CONTEXTS = 20_000
const MAX_GROWTH_BYTES = 8 * 1024 * 1024

function sealOnce(sealer: ReturnType<Evp['sealer']>): void {
  sealer.seal(new Uint8Array(12), new Uint8Array(5), new Uint8Array(64), new Uint8Array(80))
}

test('EvpSealer gives its memory back when it is freed', (t) => {
  const key = new Uint8Array(32)
  // In one turn of the event loop, in which nothing is finalized: only the owner gives back.
  const round = () => {
    for (let i = 0; i < CONTEXTS; i++) {
      using sealer = evp().sealer(AEADS[1 + (i % 2)]!, key)
      sealOnce(sealer)
    }
    collectGarbage()
    return process.memoryUsage.rss()
  }
  const before = round()
  const growth = round() - before
  t.diagnostic(`${CONTEXTS} contexts: RSS grew by ${growth} bytes`)
  assert.ok(growth < MAX_GROWTH_BYTES, `RSS grew by ${growth} bytes`)
})

test('EvpSealer gives its memory back when its owner forgets to free it', async (t) => {
  const key = new Uint8Array(32)
  const growth = await residentGrowth(CONTEXTS, () => sealOnce(evp().sealer('aes-256-gcm', key)))
  t.diagnostic(`${CONTEXTS} forgotten contexts: RSS grew by ${growth} bytes`)
  assert.ok(growth < MAX_GROWTH_BYTES, `RSS grew by ${growth} bytes`)
})
