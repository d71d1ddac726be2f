import assert from 'node:assert/strict'
import test from 'node:test'
import { pooledRandom } from '../../src/crypto/pooled-random.ts'

test('pooledRandom gives out as many bytes as are asked for, each once', () => {
  const random = pooledRandom()
  const seen = new Set<string>()
  for (let i = 0; i < 1000; i++) {
    const bytes = random(16 + (i % 32))
    assert.equal(bytes.length, 16 + (i % 32))
    seen.add(bytes.subarray(0, 16).toHex())
  }
  assert.equal(seen.size, 1000)
  assert.equal(random(0).length, 0)
  assert.notDeepEqual(random(100_000).subarray(0, 4096), random(4096))
})

test('pooledRandom gives out memory of the caller alone', () => {
  const random = pooledRandom()
  const first = random(32)
  const copy = first.slice()
  const second = random(32)
  second.fill(0)
  assert.deepEqual(first, copy)
  assert.equal(first.buffer.byteLength, 32)
})
