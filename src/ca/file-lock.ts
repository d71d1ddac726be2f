import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { messageOf } from '../errors.ts'
import { SECRET_FILE_MODE } from './durable-file.ts'
import { CaError } from './errors.ts'

/** SQLITE_BUSY: another connection holds the lock. */
const BUSY = 5

/** A database that nobody refers to is closed by the garbage collector, and its lock is gone. */
const held = new Set<DatabaseSync>()

/**
 * Takes the lock of a file, which is made unless it is there, and keeps it until disposed of or until the process ends in whatever way.
 *
 * Node has no file locks of its own, but its SQLite takes the kernel's. A file with our process id was the other
 * choice: it survives a crash, and in a container every process has the same id.
 *
 * @returns undefined when another has it
 * @throws CaError CA_STORE_IO
 */
export function tryLockFile(file: string): Disposable | undefined {
  let database: DatabaseSync | undefined
  try {
    makeFile(file)
    database = new DatabaseSync(file)
    database.exec('PRAGMA journal_mode = MEMORY')
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database?.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === BUSY) return undefined
    throw new CaError('CA_STORE_IO', `Cannot lock ${file}: ${messageOf(error)}`, { path: file, cause: error })
  }
  held.add(database)
  return {
    [Symbol.dispose]() {
      held.delete(database)
      if (database.isOpen) database.close()
    },
  }
}

/**
 * Whoever may read the file could hold its lock. One that is there is not opened: closing it would let go of the lock that
 * this very process may have (fcntl(2)).
 */
function makeFile(file: string): void {
  try {
    closeSync(openSync(file, 'ax', SECRET_FILE_MODE))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}
