import assert from 'node:assert/strict'
import test from 'node:test'
import { FixedMemory, FixedWord } from '../../src/native/fixed-memory.ts'
import { loadKoffi } from '../../src/native/koffi.ts'
import { collectGarbage } from '../support/garbage.ts'

test('FixedMemory stays where it is, however small it is and whatever is collected', () => {
  const memory = new FixedMemory(4)
  memory.bytes.set([1, 2, 3, 4])
  collectGarbage()
  assert.equal(Number(loadKoffi().address(memory.bytes)), memory.address)
  const seen = loadKoffi().decode(BigInt(memory.address), 'uint8_t', 4) as ArrayLike<number>
  assert.deepEqual(Array.from(seen), [1, 2, 3, 4])
})

test('FixedMemory gives bytes away and holds them no more', () => {
  const memory = new FixedMemory(100)
  memory.bytes.fill(7)
  const taken = memory.take(40)
  assert.deepEqual(taken, new Uint8Array(40).fill(7))
  assert.deepEqual(memory.bytes.subarray(0, 40), new Uint8Array(40))
  assert.deepEqual(memory.bytes.subarray(40), new Uint8Array(60).fill(7))
})

test('FixedWord holds what native code writes in eight bytes', () => {
  const word = new FixedWord()
  word.value = 1184
  assert.equal(word.value, 1184)
  loadKoffi().encode(BigInt(word.address), 'uint64_t', 0x7fff_1234_5678n)
  assert.equal(word.value, 0x7fff_1234_5678)
  word.value = 0
  assert.equal(word.value, 0)
})
