/**
 * The lines of a journal file, each a JSON object. An entry says its index first and ends with the hash that chains it to
 * all before it; a head follows each group of entries that went to the disk together:
 *
 *     {"index":7,"kind":"issued",…,"chain":"<64 hex digits>"}
 *     {"head":{"size":8,"time":"…","root":"…","signature":"…"}}
 *
 * The leaf of the Merkle tree is the entry as it stands there, without its `chain`.
 */
import { concat, equalBytes, utf8 } from '../bytes/bytes.ts'
import type { CryptoProvider, PublicKey } from '../crypto/provider.ts'
import {
  appendLeaf,
  EMPTY_FRONTIER,
  type Frontier,
  hashLeaf,
  rootOf,
  TREE_HASH_BYTES,
} from './merkle-tree.ts'
import { readTreeHead, type SignedTreeHead, treeHeadText, verifyTreeHead } from './tree-head.ts'

/** Keeps chained hashes apart from those of leaves and nodes. */
const CHAIN_PREFIX = Uint8Array.of(0x02)

/** What the first entry is chained to. */
const CHAIN_START = new Uint8Array(TREE_HASH_BYTES)

const CHAIN_MEMBER = ',"chain":"'
const CHAIN_END = '"}'
/** An entry's last bytes. */
const CHAIN_BYTES = CHAIN_MEMBER.length + 2 * TREE_HASH_BYTES + CHAIN_END.length

const HEAD_MEMBER = '{"head":'

/** A journal up to one of its lines. It is a value: reading on makes another. */
export interface JournalState {
  readonly frontier: Frontier
  /** The hash that chains the last entry to all before it. */
  readonly chain: Uint8Array
  /** The last head; the entries after it are vouched for by nobody yet. */
  readonly head: SignedTreeHead | undefined
}

/** Before the first line. */
export const EMPTY_JOURNAL: JournalState = {
  frontier: EMPTY_FRONTIER,
  chain: CHAIN_START,
  head: undefined,
}

/** The first line that is not what was written. */
export interface JournalDamage {
  /** The index of the entry, or how many entries there are before the head. */
  readonly index: number
  readonly part: 'entry' | 'head'
  /** What is wrong, as the end of a sentence that begins with the part. */
  readonly problem: string
}

export type JournalLine =
  | {
      readonly kind: 'entry'
      readonly index: number
      /** The leaf: JSON, UTF-8. */
      readonly leaf: Uint8Array
      readonly leafHash: Uint8Array
      readonly state: JournalState
      /** Its length without line feed. */
      readonly bytes: number
    }
  | {
      readonly kind: 'head'
      readonly head: SignedTreeHead
      readonly state: JournalState
      readonly bytes: number
    }
  | { readonly kind: 'damaged'; readonly damage: JournalDamage }

/** An entry's leaf: the entry itself behind its index. */
export function encodeLeaf(index: number, entry: { readonly kind: string }): Uint8Array {
  return utf8(`${leafStart(index)}${JSON.stringify(entry).slice(1)}`)
}

/** The entry's line without its line feed, and the journal that ends with it. */
export function addEntry(
  state: JournalState,
  leaf: Uint8Array,
  crypto: CryptoProvider,
): { readonly line: string; readonly leafHash: Uint8Array; readonly state: JournalState } {
  const leafHash = hashLeaf(leaf, crypto)
  const chain = crypto.digest('sha256', concat(CHAIN_PREFIX, state.chain, leafHash))
  const text = new TextDecoder().decode(leaf.subarray(0, -1))
  return {
    line: `${text}${CHAIN_MEMBER}${chain.toHex()}${CHAIN_END}`,
    leafHash,
    state: { frontier: appendLeaf(state.frontier, leafHash, crypto), chain, head: state.head },
  }
}

/** A head's line without its line feed. */
export function encodeHead(head: SignedTreeHead): string {
  return JSON.stringify({ head: treeHeadText(head) })
}

/**
 * Reads a journal's next line, and finds out whether it is the one that was written there.
 *
 * @param line without its line feed
 */
export function readJournalLine(
  state: JournalState,
  line: Uint8Array,
  { crypto, key }: { readonly crypto: CryptoProvider; readonly key: PublicKey },
): JournalLine {
  return startsWith(line, HEAD_MEMBER) ? readHead(state, line, crypto, key) : readEntry(state, line, crypto)
}

/** Whether all of the bytes but the last are a line: what a line is whose line feed was changed. */
export function isLineWithOtherEnd(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, -1)))
    return true
  } catch {
    return false
  }
}

function readEntry(state: JournalState, line: Uint8Array, crypto: CryptoProvider): JournalLine {
  const index = state.frontier.size
  const damaged = (problem: string): JournalLine => ({
    kind: 'damaged',
    damage: { index, part: 'entry', problem },
  })
  if (!startsWith(line, leafStart(index)))
    return damaged('is not at its place: it was altered, removed, or moved')
  const end = line.length - CHAIN_BYTES
  if (end <= 0 || !startsWith(line.subarray(end), CHAIN_MEMBER)) return damaged('does not end with its hash')
  const leaf = new Uint8Array(line.subarray(0, end + 1))
  leaf[end] = CLOSING_BRACE
  const { leafHash, state: next } = addEntry(state, leaf, crypto)
  // As text, so that a hash in capitals is not taken for the same.
  if (!equalBytes(line.subarray(end), utf8(`${CHAIN_MEMBER}${next.chain.toHex()}${CHAIN_END}`)))
    return damaged('does not match its hash')
  return { kind: 'entry', index, leaf, leafHash, state: next, bytes: line.length }
}

const CLOSING_BRACE = 0x7d

function readHead(
  state: JournalState,
  line: Uint8Array,
  crypto: CryptoProvider,
  key: PublicKey,
): JournalLine {
  const { frontier } = state
  const damaged = (problem: string): JournalLine => ({
    kind: 'damaged',
    damage: { index: frontier.size, part: 'head', problem },
  })
  const head = parseHead(line)
  if (head === undefined) return damaged('is not of the form of a head')
  if (head.size !== frontier.size)
    return damaged(`is of ${head.size} entries, where ${frontier.size} stand before it`)
  if (state.head?.size === head.size) return damaged('stands there twice')
  if (!equalBytes(head.root, rootOf(frontier, crypto)))
    return damaged('is not of the entries that stand before it')
  if (!verifyTreeHead(head, key)) return damaged("is not signed by the journal's key")
  return { kind: 'head', head, state: { ...state, head }, bytes: line.length }
}

function parseHead(line: Uint8Array): SignedTreeHead | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(line)
    const head = readTreeHead((JSON.parse(text) as { readonly head: unknown }).head)
    return head !== undefined && encodeHead(head) === text ? head : undefined
  } catch {
    return undefined
  }
}

/** The kind follows, so that an index is not taken for another that begins with it. */
function leafStart(index: number): string {
  return `{"index":${index},`
}

/** @param text ASCII */
function startsWith(bytes: Uint8Array, text: string): boolean {
  if (bytes.length < text.length) return false
  for (let i = 0; i < text.length; i++) if (bytes[i] !== text.charCodeAt(i)) return false
  return true
}
