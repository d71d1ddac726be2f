import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { messageOf } from '../errors.ts'
import { SECRET_FILE_MODE } from './durable-file.ts'
import { CaError } from './errors.ts'

/** SQLITE_BUSY: another connection holds the lock. */
const BUSY = 5

/**
 * Holds a directory for one writer, until disposed of or until the process ends in whatever way.
 *
 * Node has no file locks of its own, but its SQLite takes the kernel's. A file with our process id was the other
 * choice: it survives a crash, and in a container every process has the same id.
 *
 * @throws CaError CA_STORE_LOCKED, CA_STORE_IO
 */
export function lockDirectory(path: string): Disposable {
  const file = join(path, 'lock')
  let database: DatabaseSync | undefined
  try {
    // Whoever may read the file could hold its lock.
    closeSync(openSync(file, 'a', SECRET_FILE_MODE))
    database = new DatabaseSync(file)
    database.exec('PRAGMA journal_mode = MEMORY')
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database?.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === BUSY)
      throw new CaError(
        'CA_STORE_LOCKED',
        `${path} is in use by another controller; stop it, or choose another state directory`,
      )
    throw new CaError('CA_STORE_IO', `Cannot lock ${file}: ${messageOf(error)}`, { path: file, cause: error })
  }
  return { [Symbol.dispose]: () => database.close() }
}
