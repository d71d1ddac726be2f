/** Inclusion and consistency proofs of RFC 9162 §2.1.3 and §2.1.4: which hashes they consist of, and their verification. */
import { equalBytes } from '../bytes/bytes.ts'
import {
  appendLeaf,
  EMPTY_FRONTIER,
  type Frontier,
  hashNode,
  rootOf,
  type TreeCrypto,
} from './merkle-tree.ts'

/** The leaves from `begin` to before `end`; their subtree's hash is one hash of a proof. */
export interface LeafRange {
  readonly begin: number
  readonly end: number
}

/** The subtrees of PATH(index, D_size), RFC 9162 §2.1.3.1, in the order of the proof. */
export function inclusionRanges(index: number, size: number): readonly LeafRange[] {
  return inclusionPath(index, { begin: 0, end: size })
}

/** The subtrees of PROOF(older, D_size), RFC 9162 §2.1.4.1, in the order of the proof. */
export function consistencyRanges(older: number, size: number): readonly LeafRange[] {
  return consistencyPath(older, { begin: 0, end: size }, true)
}

/**
 * Computes the hashes of a proof while the leaves go by, once and in order: what it keeps grows with the logarithm of
 * the log.
 */
export class SubtreeHasher {
  readonly #crypto: TreeCrypto
  readonly #subtrees: { readonly range: LeafRange; frontier: Frontier }[]

  constructor(ranges: readonly LeafRange[], crypto: TreeCrypto) {
    this.#crypto = crypto
    this.#subtrees = ranges.map((range) => ({ range, frontier: EMPTY_FRONTIER }))
  }

  add(index: number, leafHash: Uint8Array): void {
    // The subtrees of one proof do not overlap.
    const subtree = this.#subtrees.find(({ range }) => range.begin <= index && index < range.end)
    if (subtree !== undefined) subtree.frontier = appendLeaf(subtree.frontier, leafHash, this.#crypto)
  }

  /** The proof. @throws RangeError when leaves are missing */
  path(): readonly Uint8Array[] {
    return this.#subtrees.map(({ range, frontier }) => {
      if (frontier.size !== range.end - range.begin)
        throw new RangeError('A proof needs leaves that did not come')
      return rootOf(frontier, this.#crypto)
    })
  }
}

export interface InclusionClaim {
  readonly leafHash: Uint8Array
  readonly index: number
  readonly size: number
  readonly root: Uint8Array
  readonly path: readonly Uint8Array[]
}

/** Whether the leaf is at its index in the tree with this root: RFC 9162 §2.1.3.2. */
export function verifyInclusion(claim: InclusionClaim, crypto: TreeCrypto): boolean {
  const { leafHash, index, size, root, path } = claim
  if (!(index >= 0 && index < size)) return false
  let fn = index
  let sn = size - 1
  let hash = leafHash
  for (const sibling of path) {
    if (sn === 0) return false
    if (isOdd(fn) || fn === sn) {
      hash = hashNode(sibling, hash, crypto)
      while (fn !== 0 && !isOdd(fn)) [fn, sn] = [half(fn), half(sn)]
    } else {
      hash = hashNode(hash, sibling, crypto)
    }
    ;[fn, sn] = [half(fn), half(sn)]
  }
  return sn === 0 && equalBytes(hash, root)
}

export interface ConsistencyClaim {
  readonly olderSize: number
  readonly olderRoot: Uint8Array
  readonly size: number
  readonly root: Uint8Array
  readonly path: readonly Uint8Array[]
}

/** Whether the older tree is the beginning of the newer: RFC 9162 §2.1.4.2. */
export function verifyConsistency(claim: ConsistencyClaim, crypto: TreeCrypto): boolean {
  const { olderSize, olderRoot, size, root, path } = claim
  if (!(olderSize > 0 && olderSize <= size)) return false
  if (olderSize === size) return path.length === 0 && equalBytes(olderRoot, root)
  let fn = olderSize - 1
  let sn = size - 1
  while (isOdd(fn)) [fn, sn] = [half(fn), half(sn)]
  // An older tree that is complete is itself a subtree of the newer, which the proof therefore leaves out.
  const [first, ...rest] = fn === 0 ? [olderRoot, ...path] : path
  if (first === undefined || path.length === 0) return false
  let older = first
  let newer = first
  for (const sibling of rest) {
    if (sn === 0) return false
    if (isOdd(fn) || fn === sn) {
      older = hashNode(sibling, older, crypto)
      newer = hashNode(sibling, newer, crypto)
      while (fn !== 0 && !isOdd(fn)) [fn, sn] = [half(fn), half(sn)]
    } else {
      newer = hashNode(newer, sibling, crypto)
    }
    ;[fn, sn] = [half(fn), half(sn)]
  }
  return sn === 0 && equalBytes(older, olderRoot) && equalBytes(newer, root)
}

function inclusionPath(index: number, tree: LeafRange): readonly LeafRange[] {
  if (tree.end - tree.begin === 1) return []
  const [left, right] = split(tree)
  return index < left.end ? [...inclusionPath(index, left), right] : [...inclusionPath(index, right), left]
}

/** @param whole b of SUBPROOF: whether the verifier knows the root of `tree`'s older part already */
function consistencyPath(older: number, tree: LeafRange, whole: boolean): readonly LeafRange[] {
  if (older === tree.end) return whole ? [] : [tree]
  const [left, right] = split(tree)
  return older <= left.end
    ? [...consistencyPath(older, left, whole), right]
    : [...consistencyPath(older, right, false), left]
}

/** At the largest power of two that is less than the number of leaves. */
function split({ begin, end }: LeafRange): readonly [left: LeafRange, right: LeafRange] {
  let half = 1
  while (half * 2 < end - begin) half *= 2
  return [
    { begin, end: begin + half },
    { begin: begin + half, end },
  ]
}

/** Sizes go beyond the 32 bits of the bitwise operators. */
function isOdd(n: number): boolean {
  return n % 2 === 1
}

function half(n: number): number {
  return Math.floor(n / 2)
}
