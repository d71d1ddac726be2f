/** Signed tree heads: what the journal's key vouches for. */
import type { PrivateKey, PublicKey, SignatureParameters } from '../crypto/provider.ts'
import { TREE_HASH_BYTES } from './merkle-tree.ts'

/** All of a journal at one moment. */
export interface TreeHead {
  /** How many entries there are. */
  readonly size: number
  readonly root: Uint8Array
  readonly timeMs: number
}

export interface SignedTreeHead extends TreeHead {
  /** DER (RFC 3279 §2.2.3). */
  readonly signature: Uint8Array
}

/** The journal's key is P-256. */
const HEAD_SIGNATURE: SignatureParameters = { kind: 'ecdsa', hash: 'sha256' }

/** A head as text, in journals and proofs. */
export interface TreeHeadText {
  readonly size: number
  /** RFC 3339, UTC. */
  readonly time: string
  /** Hexadecimal. */
  readonly root: string
  /** Hexadecimal. */
  readonly signature: string
}

export function signTreeHead(head: TreeHead, key: PrivateKey): SignedTreeHead {
  return { ...head, signature: key.sign(HEAD_SIGNATURE, signedBytes(head)) }
}

export function verifyTreeHead(head: SignedTreeHead, key: PublicKey): boolean {
  return key.verify(HEAD_SIGNATURE, signedBytes(head), head.signature)
}

export function treeHeadText({ size, root, timeMs, signature }: SignedTreeHead): TreeHeadText {
  return {
    size,
    time: new Date(timeMs).toISOString(),
    root: root.toHex(),
    signature: signature.toHex(),
  }
}

/** Undefined for what is not written exactly as {@link treeHeadText} writes it: a head has one form. */
export function readTreeHead(value: unknown): SignedTreeHead | undefined {
  const { size, time, root, signature } = Object(value) as Partial<Record<keyof TreeHeadText, unknown>>
  const timeMs = typeof time === 'string' ? Date.parse(time) : Number.NaN
  if (!Number.isSafeInteger(size) || Number(size) < 0 || !(timeMs >= 0)) return undefined
  if (!isHex(root) || root.length !== 2 * TREE_HASH_BYTES || !isHex(signature)) return undefined
  const head: SignedTreeHead = {
    size: Number(size),
    timeMs,
    root: Uint8Array.fromHex(root),
    signature: Uint8Array.fromHex(signature),
  }
  return JSON.stringify(treeHeadText(head)) === JSON.stringify(value) ? head : undefined
}

/** Lower-case hexadecimal of whole bytes. */
export function isHex(value: unknown): value is string {
  return typeof value === 'string' && /^(?:[0-9a-f]{2})*$/.test(value)
}

/** TreeHeadSignature of RFC 6962 §3.5: version v1, type tree_hash, timestamp, size, root. */
function signedBytes({ size, root, timeMs }: TreeHead): Uint8Array {
  const bytes = new Uint8Array(18 + TREE_HASH_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, 0)
  view.setUint8(1, 1)
  view.setBigUint64(2, BigInt(timeMs))
  view.setBigUint64(10, BigInt(size))
  bytes.set(root, 18)
  return bytes
}
