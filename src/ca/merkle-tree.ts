/**
 * The Merkle tree of RFC 9162 §2.1 (the same as RFC 6962's), kept as its frontier: a log of a billion entries needs
 * thirty hashes in memory and no more.
 */
import type { CryptoProvider } from '../crypto/provider.ts'

/** What the tree asks of cryptography. */
export type TreeCrypto = Pick<CryptoProvider, 'digest'>

/** The size of every hash in the tree, in bytes. */
export const TREE_HASH_BYTES = 32

/** RFC 9162 §2.1.1: leaves and nodes are hashed apart, so that no node passes for an entry. */
const LEAF_PREFIX = 0x00
const NODE_PREFIX = 0x01

/** A tree of `size` leaves, as the roots of its largest complete subtrees from left to right. */
export interface Frontier {
  readonly size: number
  /** As many as `size` has one-bits. */
  readonly peaks: readonly Uint8Array[]
}

/** The tree without leaves. */
export const EMPTY_FRONTIER: Frontier = { size: 0, peaks: [] }

/** HASH(0x00 || entry). */
export function hashLeaf(entry: Uint8Array, crypto: TreeCrypto): Uint8Array {
  const input = new Uint8Array(1 + entry.length)
  input[0] = LEAF_PREFIX
  input.set(entry, 1)
  return crypto.digest('sha256', input)
}

/** HASH(0x01 || left || right). */
export function hashNode(left: Uint8Array, right: Uint8Array, crypto: TreeCrypto): Uint8Array {
  const input = new Uint8Array(1 + 2 * TREE_HASH_BYTES)
  input[0] = NODE_PREFIX
  input.set(left, 1)
  input.set(right, 1 + TREE_HASH_BYTES)
  return crypto.digest('sha256', input)
}

/** The tree with one more leaf; the one given stays as it is. */
export function appendLeaf({ size, peaks }: Frontier, leafHash: Uint8Array, crypto: TreeCrypto): Frontier {
  const grown = peaks.slice()
  let node = leafHash
  // Every complete subtree that the new leaf completes to one of twice the size.
  for (let rest = size; rest % 2 === 1; rest = (rest - 1) / 2) node = hashNode(grown.pop()!, node, crypto)
  grown.push(node)
  return { size: size + 1, peaks: grown }
}

/** MTH(D_n) of RFC 9162 §2.1.1. */
export function rootOf({ peaks }: Frontier, crypto: TreeCrypto): Uint8Array {
  const last = peaks.at(-1)
  if (last === undefined) return crypto.digest('sha256', new Uint8Array())
  return peaks.slice(0, -1).reduceRight((right, left) => hashNode(left, right, crypto), last)
}
