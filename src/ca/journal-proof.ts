/** Proofs about a journal, as JSON that is verified with the journal's public key alone. */
import { utf8 } from '../bytes/bytes.ts'
import type { CryptoProvider, PublicKey } from '../crypto/provider.ts'
import { CaError } from './errors.ts'
import { verifyConsistency, verifyInclusion } from './merkle-proof.ts'
import { hashLeaf, TREE_HASH_BYTES } from './merkle-tree.ts'
import { isHex, readTreeHead, type SignedTreeHead, treeHeadText, verifyTreeHead } from './tree-head.ts'

/** That an entry is in the journal. */
export interface InclusionProof {
  readonly kind: 'inclusion'
  readonly head: SignedTreeHead
  readonly index: number
  /** The entry as it is in the tree: JSON text. */
  readonly entry: string
  readonly path: readonly Uint8Array[]
}

/** That the journal grew out of what it was when it had fewer entries. */
export interface ConsistencyProof {
  readonly kind: 'consistency'
  readonly head: SignedTreeHead
  readonly older: { readonly size: number; readonly root: Uint8Array }
  readonly path: readonly Uint8Array[]
}

export type JournalProof = InclusionProof | ConsistencyProof

/** Longer than the path to any leaf of any tree. */
const MAX_PATH = 64 * 2

/** The proof as JSON text. */
export function encodeProof(proof: JournalProof): string {
  const { kind, head, path } = proof
  const claim =
    proof.kind === 'inclusion'
      ? { index: proof.index, entry: proof.entry }
      : { older: { size: proof.older.size, root: proof.older.root.toHex() } }
  const text = { kind, head: treeHeadText(head), ...claim, path: path.map((hash) => hash.toHex()) }
  return `${JSON.stringify(text, null, 2)}\n`
}

/** @throws CaError CA_JOURNAL_PROOF when the text is no proof */
export function decodeProof(text: string): JournalProof {
  const { kind, head, path, index, entry, older } = parseObject(text)
  const signed = readTreeHead(head)
  if (signed === undefined) throw notOfTheForm('head')
  if (!Array.isArray(path) || path.length > MAX_PATH || !path.every(isHash)) throw notOfTheForm('path')
  const hashes = path.map((hash) => Uint8Array.fromHex(hash))
  if (kind === 'inclusion') {
    if (!Number.isSafeInteger(index)) throw notOfTheForm('index')
    if (typeof entry !== 'string') throw notOfTheForm('entry')
    return { kind, head: signed, index: Number(index), entry, path: hashes }
  }
  if (kind !== 'consistency') throw notOfTheForm('kind')
  const { size, root } = Object(older) as Readonly<Record<string, unknown>>
  if (!Number.isSafeInteger(size) || !isHash(root)) throw notOfTheForm('older')
  return { kind, head: signed, older: { size: Number(size), root: Uint8Array.fromHex(root) }, path: hashes }
}

/** @throws CaError CA_JOURNAL_PROOF when the proof does not hold for the journal with this key */
export function verifyProof(
  proof: JournalProof,
  { crypto, key }: { readonly crypto: CryptoProvider; readonly key: PublicKey },
): void {
  const { head, path } = proof
  if (!verifyTreeHead(head, key))
    throw new CaError('CA_JOURNAL_PROOF', "The proof's head is not signed by the journal's key")
  const { size, root } = head
  const holds =
    proof.kind === 'inclusion'
      ? verifyInclusion(
          { leafHash: hashLeaf(utf8(proof.entry), crypto), index: proof.index, size, root, path },
          crypto,
        )
      : verifyConsistency(
          { olderSize: proof.older.size, olderRoot: proof.older.root, size, root, path },
          crypto,
        )
  if (holds) return
  throw new CaError(
    'CA_JOURNAL_PROOF',
    proof.kind === 'inclusion'
      ? `The entry is not number ${proof.index} of the ${size} that the head is of`
      : `The ${size} entries of the head do not begin with the ${proof.older.size} of the older root`,
  )
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text)) as Readonly<Record<string, unknown>>
  } catch (cause) {
    throw new CaError('CA_JOURNAL_PROOF', 'The proof is not JSON', { cause })
  }
}

function isHash(value: unknown): value is string {
  return isHex(value) && value.length === 2 * TREE_HASH_BYTES
}

function notOfTheForm(field: string): CaError {
  return new CaError(
    'CA_JOURNAL_PROOF',
    `The proof has no ${field} of the form that handfast ca journal prove writes`,
  )
}
