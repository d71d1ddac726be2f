import { join } from 'node:path'

/** What lies in a journal's directory. */
export interface JournalFiles {
  /** Entries and signed heads. */
  readonly log: string
  /** Signs heads. Secret. */
  readonly key: string
  /** Verifies heads. Public. */
  readonly publicKey: string
  /** How far the log need not be read again when the controller starts. It can be deleted. */
  readonly checkpoint: string
}

export function journalFiles(directory: string): JournalFiles {
  return {
    log: join(directory, 'log.jsonl'),
    key: join(directory, 'key.pem'),
    publicKey: join(directory, 'public-key.pem'),
    checkpoint: join(directory, 'checkpoint.json'),
  }
}
