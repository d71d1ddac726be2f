import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { journalFiles } from '../../ca/journal-files.ts'
import { readJournalPublicKey } from '../../ca/journal-key.ts'
import type { JournalReaderOptions } from '../../ca/journal-reader.ts'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import type { PublicKey } from '../../crypto/provider.ts'
import { STATE_FILES } from '../controller/state-files.ts'
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

/** @throws UsageError, ConfigError */
export async function journalSource(flags: {
  readonly journal?: string | undefined
  readonly key?: string | undefined
}): Promise<JournalSource> {
  const path = required('--journal', flags.journal, 'a state directory or a journal file')
  const log = await journalLog(path)
  const keyFile = flags.key ?? journalFiles(dirname(log)).publicKey
  return { log, options: { crypto: nativeCrypto(), key: await journalKey(keyFile) } }
}

/** The public key of a journal. @throws ConfigError */
export async function journalKey(path: string): Promise<PublicKey> {
  const file = { path, field: '--key' }
  const text = await readOperatorFile(file)
  return parseContents(file, "a journal's public key", () => readJournalPublicKey(path, text, nativeCrypto()))
}

/** The log of a journal: in a state directory, in the journal's own directory, or the file itself. */
export async function journalLog(path: string): Promise<string> {
  for (const directory of [join(path, STATE_FILES.journal), path]) {
    const { log } = journalFiles(directory)
    if (await isFile(log)) return log
  }
  // Whatever it is: who reads it tells what is wrong with it.
  return path
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}
