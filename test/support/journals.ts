import { readFile } from 'node:fs/promises'
import { journalFiles } from '../../src/ca/journal-files.ts'
import { readJournalPublicKey } from '../../src/ca/journal-key.ts'
import type { DamagedJournal, IntactJournal } from '../../src/ca/journal-reader.ts'
import { scanJournal } from '../../src/ca/journal-scan.ts'
import type { SignedTreeHead } from '../../src/ca/tree-head.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'

/** A journal as a test looks at it. */
export interface WholeJournal {
  readonly entries: readonly Readonly<Record<string, unknown>>[]
  readonly heads: readonly SignedTreeHead[]
  readonly end: IntactJournal | DamagedJournal
}

/** Reads and verifies the journal in a directory. */
export async function readAll(directory: string): Promise<WholeJournal> {
  const crypto = nativeCrypto()
  const { log, publicKey } = journalFiles(directory)
  const key = readJournalPublicKey(publicKey, await readFile(publicKey, 'utf8'), crypto)
  const entries: Readonly<Record<string, unknown>>[] = []
  const heads: SignedTreeHead[] = []
  for await (const step of scanJournal(log, { crypto, key })) {
    if (step.kind === 'entry')
      entries.push(JSON.parse(new TextDecoder().decode(step.leaf)) as Readonly<Record<string, unknown>>)
    else if (step.kind === 'head') heads.push(step.head)
    else return { entries, heads, end: step }
  }
  throw new Error('The scan did not come to an end')
}
