import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../errors.ts'
import { makeDirectory, SECRET_DIRECTORY_MODE, SECRET_FILE_MODE, writeDurably } from './durable-file.ts'
import { CaError } from './errors.ts'
import { readSecretFile, refuseOpenDirectory } from './secret-file.ts'

/** Bundle documents that outlive the process: what was good last of others, and what was published of ours. */
export interface BundleStore {
  /** @throws CaError CA_STORE_PERMISSIONS, CA_STORE_IO */
  load(trustDomain: string): Promise<string | undefined>
  /** @throws CaError CA_STORE_IO */
  save(trustDomain: string, document: string): Promise<void>
  /** Forgets all but these. @throws CaError CA_STORE_IO */
  retain(trustDomains: readonly string[]): Promise<void>
}

const SUFFIX = '.json'

/** Bundle documents as files. Nobody but their owner may change whom a mesh trusts, so nobody else has access. */
export class DirectoryBundleStore implements BundleStore {
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** Makes the directory unless it exists. @throws CaError CA_STORE_PERMISSIONS, CA_STORE_IO */
  static async open(directory: string): Promise<DirectoryBundleStore> {
    await makeDirectory(directory, SECRET_DIRECTORY_MODE)
    await refuseOpenDirectory(directory)
    return new DirectoryBundleStore(directory)
  }

  load(trustDomain: string): Promise<string | undefined> {
    return readSecretFile(this.#path(trustDomain))
  }

  save(trustDomain: string, document: string): Promise<void> {
    return writeDurably(this.#path(trustDomain), document, { mode: SECRET_FILE_MODE })
  }

  async retain(trustDomains: readonly string[]): Promise<void> {
    const kept = new Set(trustDomains.map((trustDomain) => `${trustDomain}${SUFFIX}`))
    const path = this.#directory
    try {
      for (const name of await readdir(path))
        if (name.endsWith(SUFFIX) && !kept.has(name)) await rm(join(path, name), { force: true })
    } catch (error) {
      throw new CaError('CA_STORE_IO', `Cannot tidy ${path}: ${messageOf(error)}`, { path, cause: error })
    }
  }

  /** A trust domain's name has no slash, but may be dots; as a file's name it never is. */
  #path(trustDomain: string): string {
    return join(this.#directory, `${trustDomain}${SUFFIX}`)
  }
}
