import { open, stat } from 'node:fs/promises'
import { messageOf } from '../errors.ts'
import { SECRET_DIRECTORY_MODE, SECRET_FILE_MODE } from './durable-file.ts'
import { CaError, InsecureFileError } from './errors.ts'

/** What others than the owner may do. */
const OTHERS = 0o077

/**
 * The text of a file that only its owner may read; undefined when there is none.
 *
 * The permissions are those of the very file that is read, not of what lies at the path a moment later.
 *
 * @throws CaError CA_STORE_PERMISSIONS, CA_STORE_IO
 */
export async function readSecretFile(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, 'r')
    refuseOthers(path, (await file.stat()).mode, SECRET_FILE_MODE)
    return await file.readFile('utf8')
  } catch (error) {
    if (error instanceof CaError) throw error
    if (isMissing(error)) return undefined
    throw new CaError('CA_STORE_IO', `Cannot read ${path}: ${messageOf(error)}`, { path, cause: error })
  }
}

/**
 * Refuses a directory of secrets that others may enter.
 *
 * @throws CaError CA_STORE_PERMISSIONS, CA_STORE_IO
 */
export async function refuseOpenDirectory(path: string): Promise<void> {
  const { mode } = await stat(path).catch((error: unknown) => {
    throw new CaError('CA_STORE_IO', `Cannot look at ${path}: ${messageOf(error)}`, { path, cause: error })
  })
  refuseOthers(path, mode, SECRET_DIRECTORY_MODE)
}

/** Whether a file system error says that there is no such file. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

function refuseOthers(path: string, mode: number, expected: number): void {
  if ((mode & OTHERS) === 0) return
  throw new InsecureFileError(path, octal(mode), octal(expected))
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0')
}
