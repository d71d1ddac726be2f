import { open, readFile } from 'node:fs/promises'
import { equalBytes, utf8 } from '../bytes/bytes.ts'
import type { CryptoProvider, PublicKey } from '../crypto/provider.ts'
import { SECRET_FILE_MODE, writeDurably } from './durable-file.ts'
import type { JournalFiles } from './journal-files.ts'
import { encodeHead } from './journal-line.ts'
import type { JournalPosition } from './journal-reader.ts'
import { rootOf, TREE_HASH_BYTES } from './merkle-tree.ts'
import { isHex, readTreeHead, type SignedTreeHead, treeHeadText, verifyTreeHead } from './tree-head.ts'

/** Writes down where reading may begin the next time: right after a head. @throws CaError CA_STORE_IO */
export async function saveCheckpoint(
  { checkpoint }: JournalFiles,
  { state: { head, frontier, chain }, offset }: JournalPosition,
): Promise<void> {
  if (head === undefined) return
  const content = {
    offset,
    head: treeHeadText(head),
    peaks: frontier.peaks.map((peak) => peak.toHex()),
    chain: chain.toHex(),
  }
  await writeDurably(checkpoint, `${JSON.stringify(content)}\n`, { mode: SECRET_FILE_MODE })
}

/**
 * The position that was saved, if it is one of this very log: its tree is the one that the journal's key signed, and the
 * log has that head right before it. Undefined otherwise: then the log is read from the beginning.
 */
export async function loadCheckpoint(
  files: JournalFiles,
  { crypto, key }: { readonly crypto: CryptoProvider; readonly key: PublicKey },
): Promise<JournalPosition | undefined> {
  try {
    const text = await readFile(files.checkpoint, 'utf8')
    const position = parse(JSON.parse(text) as Readonly<Record<string, unknown>>)
    const head = position?.state.head
    if (position === undefined || head === undefined) return undefined
    const { frontier } = position.state
    if (frontier.peaks.length !== oneBits(head.size)) return undefined
    if (!equalBytes(rootOf(frontier, crypto), head.root) || !verifyTreeHead(head, key)) return undefined
    return (await endsWithHead(files.log, position.offset, head)) ? position : undefined
  } catch {
    return undefined
  }
}

function parse({
  offset,
  head,
  peaks,
  chain,
}: Readonly<Record<string, unknown>>): JournalPosition | undefined {
  const signed = readTreeHead(head)
  if (signed === undefined || !Number.isSafeInteger(offset) || !isHash(chain)) return undefined
  if (!Array.isArray(peaks) || !peaks.every(isHash)) return undefined
  const frontier = { size: signed.size, peaks: peaks.map((peak) => Uint8Array.fromHex(peak)) }
  return { state: { frontier, chain: Uint8Array.fromHex(chain), head: signed }, offset: Number(offset) }
}

async function endsWithHead(log: string, offset: number, head: SignedTreeHead): Promise<boolean> {
  const expected = utf8(`${encodeHead(head)}\n`)
  await using file = await open(log, 'r')
  const { buffer, bytesRead } = await file.read({
    buffer: new Uint8Array(expected.length),
    position: offset - expected.length,
  })
  return bytesRead === expected.length && equalBytes(buffer, expected)
}

function isHash(value: unknown): value is string {
  return isHex(value) && value.length === 2 * TREE_HASH_BYTES
}

function oneBits(size: number): number {
  return size.toString(2).replaceAll('0', '').length
}
