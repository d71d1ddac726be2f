import { open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../errors.ts'
import {
  makeDirectory,
  SECRET_DIRECTORY_MODE,
  SECRET_FILE_MODE,
  syncDirectory,
  writeDurably,
} from './durable-file.ts'
import { CaError } from './errors.ts'
import { readSecretFile, refuseOpenDirectory } from './secret-file.ts'
import type { TokenRegistration, TokenStore } from './token-store.ts'

/** The name of a registration's file. */
const REGISTRATION_FILE = /^[0-9a-f]{64}\.json$/

/** The name of a file that stands for one use of a token. */
const USE_FILE = /^([0-9a-f]{64})\.use-\d+$/

/**
 * Registrations as one file each, named by the hash of the token. They are read at each use: a token made by another
 * process works at once, and one that is deleted stops at once.
 */
export class DirectoryTokenStore implements TokenStore {
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** Makes the directory unless it exists. @throws CaError CA_STORE_PERMISSIONS, CA_STORE_IO */
  static async open(directory: string): Promise<DirectoryTokenStore> {
    await makeDirectory(directory, SECRET_DIRECTORY_MODE)
    await refuseOpenDirectory(directory)
    return new DirectoryTokenStore(directory)
  }

  async save(tokenSha256: Uint8Array, registration: TokenRegistration): Promise<void> {
    const { spiffeId, createdAtMs, expiresAtMs, uses } = registration
    const content = {
      spiffeId,
      createdAt: new Date(createdAtMs).toISOString(),
      expiresAt: new Date(expiresAtMs).toISOString(),
      ...(uses !== undefined && { uses }),
    }
    await writeDurably(this.#path(tokenSha256), `${JSON.stringify(content, null, 2)}\n`, {
      mode: SECRET_FILE_MODE,
    })
  }

  async find(tokenSha256: Uint8Array): Promise<TokenRegistration | undefined> {
    return readRegistration(this.#path(tokenSha256))
  }

  /**
   * One empty file for each use, made so that only one can make it: without locks, for any number of processes, and
   * without writing the registration, which an operator may be deleting.
   */
  async countUse(tokenSha256: Uint8Array, uses: number): Promise<boolean> {
    const name = tokenSha256.toHex()
    for (let use = 1; use <= uses; use++) {
      const path = join(this.#directory, `${name}.use-${use}`)
      try {
        await using file = await open(path, 'wx', SECRET_FILE_MODE)
        await file.sync()
        await syncDirectory(this.#directory)
        return true
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'EEXIST') continue
        throw new CaError('CA_STORE_IO', `Cannot write ${path}: ${messageOf(error)}`, { path, cause: error })
      }
    }
    return false
  }

  async sweep(expiredBeforeMs: number): Promise<number> {
    let swept = 0
    const names = await this.#names()
    const registrations = names.filter((name) => REGISTRATION_FILE.test(name))
    for (const name of names) {
      const [, hash] = USE_FILE.exec(name) ?? []
      if (hash !== undefined && !registrations.includes(`${hash}.json`))
        await rm(join(this.#directory, name), { force: true })
    }
    for (const name of registrations) {
      const path = join(this.#directory, name)
      const registration = await readRegistration(path)
      if (registration === undefined || registration.expiresAtMs >= expiredBeforeMs) continue
      await rm(path, { force: true })
      swept++
    }
    return swept
  }

  async #names(): Promise<string[]> {
    try {
      return await readdir(this.#directory)
    } catch (error) {
      throw new CaError('CA_STORE_IO', `Cannot list ${this.#directory}: ${messageOf(error)}`, {
        path: this.#directory,
        cause: error,
      })
    }
  }

  #path(tokenSha256: Uint8Array): string {
    return join(this.#directory, `${tokenSha256.toHex()}.json`)
  }
}

async function readRegistration(path: string): Promise<TokenRegistration | undefined> {
  const text = await readSecretFile(path)
  if (text === undefined) return undefined
  const { spiffeId, createdAt, expiresAt, uses } = parseObject(path, text)
  const createdAtMs = Date.parse(String(createdAt))
  const expiresAtMs = Date.parse(String(expiresAt))
  const readable = typeof spiffeId === 'string' && !Number.isNaN(createdAtMs) && !Number.isNaN(expiresAtMs)
  if (!readable || (uses !== undefined && !Number.isSafeInteger(uses)))
    throw new CaError(
      'CA_STORE_CORRUPT',
      `${path}: expected spiffeId, createdAt, expiresAt and perhaps uses; delete the file and make a new token`,
    )
  return { spiffeId, createdAtMs, expiresAtMs, ...(uses !== undefined && { uses: Number(uses) }) }
}

function parseObject(path: string, text: string): Partial<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text)) as Partial<Record<string, unknown>>
  } catch (error) {
    throw new CaError('CA_STORE_CORRUPT', `${path}: expected JSON, ${messageOf(error)}`, { cause: error })
  }
}
