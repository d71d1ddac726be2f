import assert from 'node:assert/strict'
import test from 'node:test'
import { releaseGrownMemory, releaseMemory } from '../../src/native/release-memory.ts'

test('releaseMemory gives back what is not used any more, and leaves no collector behind', () => {
  const before = process.memoryUsage().heapTotal
  let objects: unknown[] = Array.from({ length: 500_000 }, (_, index) => ({ index }))
  const grown = process.memoryUsage().heapTotal
  assert.ok(grown > before + 10_000_000 && objects.length > 0)
  objects = []
  releaseMemory()
  assert.ok(process.memoryUsage().heapTotal < grown - 10_000_000)
  assert.ok(!('gc' in globalThis))
})

test('releaseGrownMemory gives back what has been added since it did so last', () => {
  releaseGrownMemory()
  const small = process.memoryUsage().heapTotal
  let objects: unknown[] = Array.from({ length: 1_000_000 }, (_, index) => ({ index }))
  const grown = process.memoryUsage().heapTotal
  assert.ok(grown > small + 16 * 1024 * 1024 && objects.length > 0)
  objects = []
  releaseGrownMemory()
  assert.ok(process.memoryUsage().heapTotal < grown - 16 * 1024 * 1024)
})
