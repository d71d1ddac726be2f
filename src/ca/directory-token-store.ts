import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../errors.ts'
import { makeDirectory, SECRET_DIRECTORY_MODE, SECRET_FILE_MODE, writeDurably } from './durable-file.ts'
import { CaError } from './errors.ts'
import { readSecretFile, refuseOpenDirectory } from './secret-file.ts'
import type { TokenRegistration, TokenStore } from './token-store.ts'

/** The name of a registration's file. */
const REGISTRATION_FILE = /^[0-9a-f]{64}\.json$/

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
    const { spiffeId, createdAtMs, expiresAtMs } = registration
    const content = {
      spiffeId,
      createdAt: new Date(createdAtMs).toISOString(),
      expiresAt: new Date(expiresAtMs).toISOString(),
    }
    await writeDurably(this.#path(tokenSha256), `${JSON.stringify(content, null, 2)}\n`, {
      mode: SECRET_FILE_MODE,
    })
  }

  async find(tokenSha256: Uint8Array): Promise<TokenRegistration | undefined> {
    return readRegistration(this.#path(tokenSha256))
  }

  async sweep(expiredBeforeMs: number): Promise<number> {
    let swept = 0
    for (const name of await this.#names()) {
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
      return (await readdir(this.#directory)).filter((name) => REGISTRATION_FILE.test(name))
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
  const { spiffeId, createdAt, expiresAt } = parseObject(path, text)
  const createdAtMs = Date.parse(String(createdAt))
  const expiresAtMs = Date.parse(String(expiresAt))
  if (typeof spiffeId !== 'string' || Number.isNaN(createdAtMs) || Number.isNaN(expiresAtMs))
    throw new CaError(
      'CA_STORE_CORRUPT',
      `${path}: expected spiffeId, createdAt and expiresAt; delete the file and make a new token`,
    )
  return { spiffeId, createdAtMs, expiresAtMs }
}

function parseObject(path: string, text: string): Partial<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text)) as Partial<Record<string, unknown>>
  } catch (error) {
    throw new CaError('CA_STORE_CORRUPT', `${path}: expected JSON, ${messageOf(error)}`, { cause: error })
  }
}
