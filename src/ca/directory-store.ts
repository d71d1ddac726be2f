import * as nodeFiles from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../errors.ts'
import { encodePem, readPem } from '../pki/pem.ts'
import {
  type FileOperations,
  makeDirectory,
  SECRET_DIRECTORY_MODE,
  SECRET_FILE_MODE,
  syncDirectory,
  writeDurably,
} from './durable-file.ts'
import { CaError } from './errors.ts'
import { isMissing, readSecretFile, refuseOpenDirectory } from './secret-file.ts'
import type { AuthoritySlot, CaStore, StoredAuthority } from './store.ts'

/** The record of a rotation, beside the authorities. */
const ROTATION_FILE = 'rotation.json'

/** What is revoked. No secret, and nothing that others should be able to write. */
const REVOCATIONS_FILE = 'revocations.json'

/** The keys for JWT-SVIDs, beside the authorities. */
const JWT_KEYS_FILE = 'jwt-keys.json'

const AUTHORITY_FILE = /^((?:root|intermediate)(?:-[1-9]\d{0,8})?)\.pem$/

/**
 * Authorities as one PEM file each, certificate and key together: what belongs together is replaced together.
 */
export class DirectoryCaStore implements CaStore {
  readonly #directory: string
  readonly #files: FileOperations

  private constructor(directory: string, files: FileOperations) {
    this.#directory = directory
    this.#files = files
  }

  /**
   * Makes the directory unless it exists.
   *
   * @param files @default node:fs/promises
   * @throws CaError CA_STORE_PERMISSIONS, CA_STORE_IO
   */
  static async open(directory: string, files: FileOperations = nodeFiles): Promise<DirectoryCaStore> {
    await makeDirectory(directory, SECRET_DIRECTORY_MODE)
    await refuseOpenDirectory(directory)
    return new DirectoryCaStore(directory, files)
  }

  async load(slot: AuthoritySlot): Promise<StoredAuthority | undefined> {
    const path = this.#path(slot)
    const text = await readSecretFile(path)
    if (text === undefined) return undefined
    const [certificate, ...chain] = blocksOf(path, text, 'CERTIFICATE')
    if (certificate === undefined || (slot.startsWith('root') && chain.length > 0))
      throw unexpected(path, 'CERTIFICATE', chain.length + (certificate === undefined ? 0 : 1))
    const [privateKey, ...others] = blocksOf(path, text, 'PRIVATE KEY')
    if (privateKey === undefined || others.length > 0)
      throw unexpected(path, 'PRIVATE KEY', others.length + (privateKey === undefined ? 0 : 1))
    return { certificate, privateKey, ...(chain.length > 0 && { chain }) }
  }

  async save(slot: AuthoritySlot, { certificate, chain = [], privateKey }: StoredAuthority): Promise<void> {
    const certificates = [certificate, ...chain].map((der) => encodePem('CERTIFICATE', der)).join('')
    await this.#write(this.#path(slot), certificates + encodePem('PRIVATE KEY', privateKey))
  }

  async remove(slot: AuthoritySlot): Promise<void> {
    const path = this.#path(slot)
    try {
      await this.#files.rm(path, { force: true })
      await syncDirectory(this.#directory, this.#files)
    } catch (error) {
      throw new CaError('CA_STORE_IO', `Cannot remove ${path}: ${messageOf(error)}`, { path, cause: error })
    }
  }

  async slots(): Promise<readonly AuthoritySlot[]> {
    try {
      const names = await nodeFiles.readdir(this.#directory)
      return names.map((name) => AUTHORITY_FILE.exec(name)?.[1]).filter(isSlot)
    } catch (error) {
      const path = this.#directory
      throw new CaError('CA_STORE_IO', `Cannot list ${path}: ${messageOf(error)}`, { path, cause: error })
    }
  }

  loadRotation(): Promise<string | undefined> {
    return readSecretFile(join(this.#directory, ROTATION_FILE))
  }

  saveRotation(record: string): Promise<void> {
    return this.#write(join(this.#directory, ROTATION_FILE), record)
  }

  loadRevocations(): Promise<string | undefined> {
    return readSecretFile(join(this.#directory, REVOCATIONS_FILE))
  }

  saveRevocations(record: string): Promise<void> {
    return this.#write(join(this.#directory, REVOCATIONS_FILE), record)
  }

  loadJwtKeys(): Promise<string | undefined> {
    return readSecretFile(join(this.#directory, JWT_KEYS_FILE))
  }

  saveJwtKeys(record: string): Promise<void> {
    return this.#write(join(this.#directory, JWT_KEYS_FILE), record)
  }

  async rotationRevision(): Promise<string> {
    const path = join(this.#directory, ROTATION_FILE)
    try {
      // Every write makes a file of its own and renames it.
      const { ino, size, mtimeNs } = await nodeFiles.stat(path, { bigint: true })
      return `${ino} ${size} ${mtimeNs}`
    } catch (error) {
      if (isMissing(error)) return ''
      throw new CaError('CA_STORE_IO', `Cannot look at ${path}: ${messageOf(error)}`, { path, cause: error })
    }
  }

  #write(path: string, content: string): Promise<void> {
    return writeDurably(path, content, { mode: SECRET_FILE_MODE, files: this.#files })
  }

  #path(slot: AuthoritySlot): string {
    return join(this.#directory, `${slot}.pem`)
  }
}

function isSlot(name: string | undefined): name is AuthoritySlot {
  return name !== undefined
}

function blocksOf(path: string, text: string, label: 'CERTIFICATE' | 'PRIVATE KEY'): readonly Uint8Array[] {
  try {
    return readPem(text).flatMap((block) => (block.label === label ? [block.der] : []))
  } catch (error) {
    throw new CaError('CA_STORE_CORRUPT', `${path} is not PEM: ${messageOf(error)}`, { cause: error })
  }
}

function unexpected(path: string, label: string, found: number): CaError {
  return new CaError(
    'CA_STORE_CORRUPT',
    `${path}: expected one ${label}, got ${found}; restore it from a backup`,
  )
}
