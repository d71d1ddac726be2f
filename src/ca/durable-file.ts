import * as nodeFiles from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from '../errors.ts'
import { CaError } from './errors.ts'

/** Only the owner reads and writes. */
export const SECRET_FILE_MODE = 0o600
/** Only the owner enters. */
export const SECRET_DIRECTORY_MODE = 0o700
/** Anyone reads. */
export const PUBLIC_FILE_MODE = 0o644

/** What {@link writeDurably} asks of the file system. */
export type FileOperations = Pick<typeof nodeFiles, 'open' | 'rename' | 'rm'>

export interface DurableWriteOptions {
  /** Permissions of the file, whatever the umask. */
  readonly mode: number
  /** @default node:fs/promises */
  readonly files?: FileOperations
}

/**
 * Replaces the file at `path`, so that a crash at any moment leaves the old content or the new, never a part:
 * write beside it, flush, rename over it, flush the directory. A half-written neighbour of an earlier crash is overwritten.
 *
 * @throws CaError CA_STORE_IO
 */
export async function writeDurably(
  path: string,
  content: string | Uint8Array,
  { mode, files = nodeFiles }: DurableWriteOptions,
): Promise<void> {
  const unfinished = `${path}.unfinished`
  try {
    // A left-over may have other permissions than ours: it must not be reused.
    await files.rm(unfinished, { force: true })
    await using file = await files.open(unfinished, 'wx', mode)
    await file.chmod(mode)
    await file.writeFile(content)
    await file.sync()
    await files.rename(unfinished, path)
    await syncDirectory(dirname(path), files)
  } catch (error) {
    throw new CaError('CA_STORE_IO', `Cannot write ${path}: ${messageOf(error)}`, { path, cause: error })
  }
}

/** Makes the entries of a directory survive a crash. @throws the file system's error */
export async function syncDirectory(
  path: string,
  files: Pick<FileOperations, 'open'> = nodeFiles,
): Promise<void> {
  await using directory = await files.open(path, 'r')
  await directory.sync()
}

/**
 * Makes the directory unless it exists, so that it survives a crash; its parents too, with the usual permissions.
 *
 * @param mode of the directory, if it is made
 * @throws CaError CA_STORE_IO
 */
export async function makeDirectory(path: string, mode?: number): Promise<void> {
  try {
    await nodeFiles.mkdir(dirname(path), { recursive: true })
    await nodeFiles.mkdir(path, { recursive: true, ...(mode !== undefined && { mode }) })
    await syncDirectory(dirname(path))
  } catch (error) {
    throw new CaError('CA_STORE_IO', `Cannot make the directory ${path}: ${messageOf(error)}`, {
      path,
      cause: error,
    })
  }
}
