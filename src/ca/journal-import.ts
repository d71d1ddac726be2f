import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { CryptoProvider } from '../crypto/provider.ts'
import { messageOf } from '../errors.ts'
import { CaError } from './errors.ts'
import type { JournalFile } from './journal-file.ts'
import type { JournalEntry } from './journal.ts'

/** So many entries go to the disk together. */
const BATCH_ENTRIES = 512

/**
 * Copies the entries of a journal of plain JSON lines, which is what controllers wrote before there were signed heads. A
 * note at the end says how many there were.
 *
 * @throws CaError CA_STORE_IO
 */
export async function importJournal(
  older: string,
  journal: JournalFile,
  { nowMs }: { readonly nowMs: () => number },
): Promise<void> {
  let entries = 0
  let unreadable = 0
  let batch: Promise<void>[] = []
  for await (const line of linesOf(older)) {
    const entry = parseEntry(line)
    if (entry === undefined) {
      unreadable++
      continue
    }
    entries++
    batch.push(journal.append(entry))
    if (batch.length < BATCH_ENTRIES) continue
    await Promise.all(batch)
    batch = []
  }
  await Promise.all(batch)
  await journal.append({ kind: 'imported', time: new Date(nowMs()).toISOString(), entries, unreadable })
}

/** The SHA-256 of a whole file. @throws CaError CA_STORE_IO */
export async function hashJournalFile(path: string, crypto: CryptoProvider): Promise<Uint8Array> {
  using hash = crypto.hash('sha256')
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array)
    return hash.digest()
  } catch (error) {
    throw unreadableFile(path, error)
  }
}

async function* linesOf(path: string): AsyncGenerator<string, void, undefined> {
  try {
    yield* createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })
  } catch (error) {
    throw unreadableFile(path, error)
  }
}

/** Undefined for a line that a crash had cut. */
function parseEntry(line: string): JournalEntry | undefined {
  try {
    const value = JSON.parse(line) as Partial<JournalEntry> | null
    return value?.kind === 'issued' || value?.kind === 'refused' ? (value as JournalEntry) : undefined
  } catch {
    return undefined
  }
}

function unreadableFile(path: string, cause: unknown): CaError {
  return new CaError('CA_STORE_IO', `Cannot read the older journal ${path}: ${messageOf(cause)}`, {
    path,
    cause,
  })
}
