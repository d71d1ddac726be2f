/** Reading the files that an operator names: what is wrong with one is told with its name, and nothing is guessed. */
import { open, type FileHandle } from 'node:fs/promises'
import { ConfigError, type ConfigErrorCode } from '../config/errors.ts'
import { messageOf } from '../errors.ts'

/** Keys, certificates and configuration are far smaller; a larger file was named by mistake. */
const MAX_FILE_BYTES = 4 * 1024 * 1024

/** Read, write and execute for group and others. */
const OTHERS_MODE = 0o077

/** A file and the flag or field that named it. */
export interface NamedFile {
  readonly path: string
  /** Such as `--cert` or `spec.tls.keyFile`. */
  readonly field: string
}

/**
 * The text of a file.
 *
 * @throws ConfigError CONFIG_MISSING_FILE, CONFIG_UNREADABLE
 */
export async function readOperatorFile(file: NamedFile): Promise<string> {
  return (await readOperatorBytes(file)).toString('utf8')
}

/** The contents of a file, whatever they are. @throws ConfigError CONFIG_MISSING_FILE, CONFIG_UNREADABLE */
export async function readOperatorBytes(file: NamedFile): Promise<Buffer> {
  return readChecked(file, 'a readable file', () => {})
}

/**
 * The text of a file with a secret, which nobody but its owner may have access to.
 *
 * @throws ConfigError CONFIG_MISSING_FILE, CONFIG_UNREADABLE, CONFIG_INSECURE_PERMISSIONS
 */
export async function readSecretFile(file: NamedFile): Promise<string> {
  const contents = await readChecked(file, 'a file that only its owner can read', (mode) =>
    checkPrivate(file, mode),
  )
  return contents.toString('utf8')
}

/**
 * Refuses a file that others than its owner can read or write.
 *
 * @param mode as `stat` gives it
 * @throws ConfigError CONFIG_INSECURE_PERMISSIONS
 */
export function checkPrivate(file: NamedFile, mode: number): void {
  if ((mode & OTHERS_MODE) === 0) return
  const permissions = (mode & 0o777).toString(8).padStart(4, '0')
  throw refuse('CONFIG_INSECURE_PERMISSIONS', file, {
    expected: 'a file that only its owner can read (0600)',
    got: `permissions ${permissions}`,
    hint: `chmod 600 ${file.path}`,
  })
}

/**
 * Reads what is in a file, so that contents which make no sense are told with the file's name.
 *
 * @param expected a noun phrase
 * @throws ConfigError CONFIG_INVALID
 */
export function parseContents<T>(file: NamedFile, expected: string, parse: () => T): T {
  try {
    return parse()
  } catch (thrown) {
    throw refuse('CONFIG_INVALID', file, {
      expected,
      got: `something else: ${messageOf(thrown)}`,
      cause: thrown,
    })
  }
}

async function readChecked(
  file: NamedFile,
  expected: string,
  check: (mode: number) => void,
): Promise<Buffer> {
  let handle: FileHandle | undefined
  try {
    handle = await open(file.path, 'r')
    // By the open file, so that what is checked is what is read.
    const stats = await handle.stat()
    if (stats.isDirectory()) throw refuse('CONFIG_UNREADABLE', file, { expected, got: 'a directory' })
    if (stats.size > MAX_FILE_BYTES)
      throw refuse('CONFIG_UNREADABLE', file, {
        expected: `at most ${MAX_FILE_BYTES} bytes`,
        got: `${stats.size}`,
      })
    check(stats.mode)
    return await handle.readFile()
  } catch (thrown) {
    throw thrown instanceof ConfigError ? thrown : systemRefusal(file, expected, thrown)
  } finally {
    await handle?.close()
  }
}

function systemRefusal(file: NamedFile, expected: string, thrown: unknown): ConfigError {
  const code = (thrown as { readonly code?: unknown }).code
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return refuse('CONFIG_MISSING_FILE', file, { expected, got: 'no such file', cause: thrown })
  const got = code === 'EACCES' || code === 'EPERM' ? 'permission denied' : messageOf(thrown)
  return refuse('CONFIG_UNREADABLE', file, { expected, got, cause: thrown })
}

interface Refusal {
  readonly expected: string
  readonly got: string
  readonly hint?: string
  readonly cause?: unknown
}

function refuse(
  code: ConfigErrorCode,
  { path, field }: NamedFile,
  { expected, got, hint, cause }: Refusal,
): ConfigError {
  const problem = { file: path, field, expected, got, ...(hint === undefined ? {} : { hint }) }
  return new ConfigError(code, [problem], cause === undefined ? undefined : { cause })
}
