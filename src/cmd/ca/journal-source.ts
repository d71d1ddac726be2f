import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { journalFiles } from '../../ca/journal-files.ts'
import { readJournalPublicKey } from '../../ca/journal-key.ts'
import type { JournalReaderOptions } from '../../ca/journal-reader.ts'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import type { PublicKey } from '../../crypto/provider.ts'
import { journalLogs } from '../controller/replicas.ts'
import { UsageError } from '../errors.ts'
import { parseContents, readOperatorFile } from '../files.ts'
import { required } from '../flags.ts'

/** The flags that say which journal is meant. */
export const JOURNAL_OPTIONS = {
  journal: { type: 'string' },
  key: { type: 'string' },
} as const

/** What the help of each verb says of them. */
export const JOURNAL_OPTIONS_HELP = `  --journal PATH       the controller's state directory, or a copy of its journal/log.jsonl
  --key FILE           the journal's public key, if it does not lie beside it as public-key.pem
`

/** A journal that an operator named. */
export interface JournalSource {
  readonly log: string
  readonly options: JournalReaderOptions
}

/**
 * The journals that the flags name: those of all controllers that share a state directory, or a single one.
 *
 * @throws UsageError, ConfigError
 */
export async function journalSources(flags: {
  readonly journal?: string | undefined
  readonly key?: string | undefined
}): Promise<readonly JournalSource[]> {
  const logs = await journalsAt(required('--journal', flags.journal, 'a state directory or a journal file'))
  if (flags.key !== undefined && logs.length > 1)
    throw new UsageError(
      `--key: expected it along with a single journal, since each has a key of its own, got ${logs.join(', ')}`,
    )
  const crypto = nativeCrypto()
  const sources: JournalSource[] = []
  for (const log of logs) {
    const keyFile = flags.key ?? journalFiles(dirname(log)).publicKey
    sources.push({ log, options: { crypto, key: await journalKey(keyFile) } })
  }
  return sources
}

/** The public key of a journal. @throws ConfigError */
export async function journalKey(path: string): Promise<PublicKey> {
  const file = { path, field: '--key' }
  const text = await readOperatorFile(file)
  return parseContents(file, "a journal's public key", () => readJournalPublicKey(path, text, nativeCrypto()))
}

/**
 * The logs of the journals that a path names: of all controllers that share a state directory, of a journal's own
 * directory, or the file itself.
 */
export async function journalsAt(path: string): Promise<readonly string[]> {
  const shared = await journalLogs(path)
  if (shared.length > 0) return shared
  const { log } = journalFiles(path)
  const inDirectory = await stat(log).then(
    (found) => found.isFile(),
    () => false,
  )
  // Whatever else it is: who reads it tells what is wrong with it.
  return [inDirectory ? log : path]
}
