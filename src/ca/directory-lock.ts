import { join } from 'node:path'
import { CaError } from './errors.ts'
import { tryLockFile } from './file-lock.ts'

/**
 * Holds a directory for one writer, until disposed of or until the process ends in whatever way.
 *
 * @throws CaError CA_STORE_LOCKED, CA_STORE_IO
 */
export function lockDirectory(path: string): Disposable {
  const lock = tryLockFile(join(path, 'lock'))
  if (lock !== undefined) return lock
  throw new CaError(
    'CA_STORE_LOCKED',
    `${path} is in use by another controller; stop it, choose another state directory, or give this one another --replica name to share it`,
  )
}
