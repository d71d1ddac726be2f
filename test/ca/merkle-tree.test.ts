import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { concat } from '../../src/bytes/bytes.ts'
import {
  consistencyRanges,
  inclusionRanges,
  type LeafRange,
  SubtreeHasher,
  verifyConsistency,
  verifyInclusion,
} from '../../src/ca/merkle-proof.ts'
import { appendLeaf, EMPTY_FRONTIER, hashLeaf, rootOf } from '../../src/ca/merkle-tree.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'

const crypto = nativeCrypto()

/** The eight entries, and the roots of their trees, that the implementations of Certificate Transparency share. */
const CT_ENTRIES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map((hex) => Uint8Array.fromHex(hex))
const CT_ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

/** MTH, PATH and PROOF as RFC 9162 §2.1 writes them, with the oracle's own hash. */
const naive = {
  sha256: (...parts: Uint8Array[]): Uint8Array => portableCrypto().digest('sha256', concat(...parts)),
  split: (n: number): number => 2 ** Math.ceil(Math.log2(n) - 1),
  root(leaves: readonly Uint8Array[]): Uint8Array {
    if (leaves.length === 0) return naive.sha256()
    if (leaves.length === 1) return naive.sha256(Uint8Array.of(0), leaves[0]!)
    const k = naive.split(leaves.length)
    return naive.sha256(Uint8Array.of(1), naive.root(leaves.slice(0, k)), naive.root(leaves.slice(k)))
  },
  path(m: number, leaves: readonly Uint8Array[]): Uint8Array[] {
    if (leaves.length === 1) return []
    const k = naive.split(leaves.length)
    const [left, right] = [leaves.slice(0, k), leaves.slice(k)]
    return m < k
      ? [...naive.path(m, left), naive.root(right)]
      : [...naive.path(m - k, right), naive.root(left)]
  },
  proof: (m: number, leaves: readonly Uint8Array[]): Uint8Array[] => naive.subproof(m, leaves, true),
  subproof(m: number, leaves: readonly Uint8Array[], whole: boolean): Uint8Array[] {
    if (m === leaves.length) return whole ? [] : [naive.root(leaves)]
    const k = naive.split(leaves.length)
    const [left, right] = [leaves.slice(0, k), leaves.slice(k)]
    return m <= k
      ? [...naive.subproof(m, left, whole), naive.root(right)]
      : [...naive.subproof(m - k, right, false), naive.root(left)]
  },
}

function rootOfEntries(entries: readonly Uint8Array[]): Uint8Array {
  const frontier = entries.reduce(
    (tree, entry) => appendLeaf(tree, hashLeaf(entry, crypto), crypto),
    EMPTY_FRONTIER,
  )
  return rootOf(frontier, crypto)
}

function prove(ranges: readonly LeafRange[], entries: readonly Uint8Array[]): readonly Uint8Array[] {
  const hasher = new SubtreeHasher(ranges, crypto)
  for (const [index, entry] of entries.entries()) hasher.add(index, hashLeaf(entry, crypto))
  return hasher.path()
}

function entriesOf(size: number): Uint8Array[] {
  return Array.from({ length: size }, (_, index) => Uint8Array.of(index, index >> 8, 7))
}

/** Each of the ways to change one of these hashes, leave one out, or add one. */
function* spoilt(path: readonly Uint8Array[]): Generator<Uint8Array[]> {
  for (const [place, hash] of path.entries()) {
    const changed = hash.slice()
    changed[place % 32]! ^= 1
    yield path.with(place, changed)
    yield path.toSpliced(place, 1)
    yield path.toSpliced(place, 0, hash)
  }
  yield [...path, new Uint8Array(32)]
}

test('rootOf gives the roots of Certificate Transparency, for every size of its example', () => {
  for (const [size, root] of CT_ROOTS.entries())
    assert.equal(rootOfEntries(CT_ENTRIES.slice(0, size)).toHex(), root, `${size} entries`)
})

test('rootOf, proofs and their verification agree with the recursive definitions, for all sizes to 40', () => {
  for (let size = 1; size <= 40; size++) {
    const entries = entriesOf(size)
    const root = rootOfEntries(entries)
    assert.deepEqual(root, naive.root(entries))
    for (let index = 0; index < size; index++) {
      const path = prove(inclusionRanges(index, size), entries)
      assert.deepEqual(path, naive.path(index, entries))
      const leafHash = hashLeaf(entries[index]!, crypto)
      assert.ok(verifyInclusion({ leafHash, index, size, root, path }, crypto), `${index} in ${size}`)
      const path2 = prove(consistencyRanges(index + 1, size), entries)
      assert.deepEqual(path2, naive.proof(index + 1, entries))
      const olderRoot = rootOfEntries(entries.slice(0, index + 1))
      const claim = { olderSize: index + 1, olderRoot, size, root, path: path2 }
      assert.ok(verifyConsistency(claim, crypto), `${index + 1} to ${size}`)
    }
  }
})

test('verifyInclusion refuses whatever is altered', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }).chain((size) =>
        fc.record({
          size: fc.constant(size),
          index: fc.nat(size - 1),
          other: fc.nat(size + 3),
          bit: fc.nat(255),
        }),
      ),
      ({ size, index, other, bit }) => {
        const entries = entriesOf(size)
        const claim = {
          leafHash: hashLeaf(entries[index]!, crypto),
          index,
          size,
          root: rootOfEntries(entries),
          path: prove(inclusionRanges(index, size), entries),
        }
        assert.ok(verifyInclusion(claim, crypto))
        const refused = (change: Partial<typeof claim>): void =>
          assert.ok(!verifyInclusion({ ...claim, ...change }, crypto), JSON.stringify(change))
        for (const path of spoilt(claim.path)) refused({ path })
        refused({ root: flipped(claim.root, bit) })
        refused({ leafHash: flipped(claim.leafHash, bit) })
        if (other !== index) refused({ index: other })
        refused({ index: -1 })
        refused({ size: index })
      },
    ),
    { numRuns: 60 },
  )
})

test('verifyConsistency refuses whatever is altered', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 300 }).chain((size) =>
        fc.record({
          size: fc.constant(size),
          olderSize: fc.integer({ min: 1, max: size }),
          bit: fc.nat(255),
        }),
      ),
      ({ size, olderSize, bit }) => {
        const entries = entriesOf(size)
        const claim = {
          olderSize,
          olderRoot: rootOfEntries(entries.slice(0, olderSize)),
          size,
          root: rootOfEntries(entries),
          path: prove(consistencyRanges(olderSize, size), entries),
        }
        assert.ok(verifyConsistency(claim, crypto))
        const refused = (change: Partial<typeof claim>): void =>
          assert.ok(!verifyConsistency({ ...claim, ...change }, crypto), JSON.stringify(change))
        for (const path of spoilt(claim.path)) refused({ path })
        refused({ root: flipped(claim.root, bit) })
        refused({ olderRoot: flipped(claim.olderRoot, bit) })
        refused({ olderSize: 0 })
        refused({ olderSize: size + 1 })
        const rewritten = entries.with(olderSize - 1, Uint8Array.of(9, 9))
        refused({ olderRoot: rootOfEntries(rewritten.slice(0, olderSize)) })
      },
    ),
    { numRuns: 60 },
  )
})

test('hashLeaf and nodes are hashed apart, so that a node passes for no entry', () => {
  const [left, right] = [hashLeaf(Uint8Array.of(1), crypto), hashLeaf(Uint8Array.of(2), crypto)]
  const root = rootOfEntries([Uint8Array.of(1), Uint8Array.of(2)])
  assert.notDeepEqual(hashLeaf(concat(left, right), crypto), root)
})

test('inclusionRanges and appendLeaf count beyond 32 bits', () => {
  const size = 2 ** 40 + 3
  const ranges = inclusionRanges(2 ** 40 + 1, size)
  assert.deepEqual(ranges, [
    { begin: 2 ** 40, end: 2 ** 40 + 1 },
    { begin: 2 ** 40 + 2, end: size },
    { begin: 0, end: 2 ** 40 },
  ])
  const leaf = hashLeaf(Uint8Array.of(1), crypto)
  const grown = appendLeaf({ size, peaks: [leaf, leaf, leaf] }, leaf, crypto)
  assert.deepEqual([grown.size, grown.peaks.length], [2 ** 40 + 4, 2])
})

function flipped(hash: Uint8Array, bit: number): Uint8Array {
  const changed = hash.slice()
  changed[bit >> 3]! ^= 1 << (bit & 7)
  return changed
}
