import { join } from 'node:path'
import { messageOf } from '../errors.ts'
import { decodePem, encodePem } from '../pki/pem.ts'
import {
  type FileOperations,
  makeDirectory,
  SECRET_DIRECTORY_MODE,
  SECRET_FILE_MODE,
  writeDurably,
} from './durable-file.ts'
import { CaError } from './errors.ts'
import { readSecretFile, refuseOpenDirectory } from './secret-file.ts'
import type { AuthoritySlot, CaStore, StoredAuthority } from './store.ts'

/**
 * Authorities as one PEM file each, certificate and key together: what belongs together is replaced together.
 */
export class DirectoryCaStore implements CaStore {
  readonly #directory: string
  readonly #files: FileOperations | undefined

  private constructor(directory: string, files: FileOperations | undefined) {
    this.#directory = directory
    this.#files = files
  }

  /**
   * Makes the directory unless it exists.
   *
   * @param files @default node:fs/promises
   * @throws CaError CA_STORE_PERMISSIONS, CA_STORE_IO
   */
  static async open(directory: string, files?: FileOperations): Promise<DirectoryCaStore> {
    await makeDirectory(directory, SECRET_DIRECTORY_MODE)
    await refuseOpenDirectory(directory)
    return new DirectoryCaStore(directory, files)
  }

  async load(slot: AuthoritySlot): Promise<StoredAuthority | undefined> {
    const path = this.#path(slot)
    const text = await readSecretFile(path)
    if (text === undefined) return undefined
    return {
      certificate: onlyBlock(path, text, 'CERTIFICATE'),
      privateKey: onlyBlock(path, text, 'PRIVATE KEY'),
    }
  }

  async save(slot: AuthoritySlot, { certificate, privateKey }: StoredAuthority): Promise<void> {
    const content = encodePem('CERTIFICATE', certificate) + encodePem('PRIVATE KEY', privateKey)
    await writeDurably(this.#path(slot), content, {
      mode: SECRET_FILE_MODE,
      ...(this.#files !== undefined && { files: this.#files }),
    })
  }

  #path(slot: AuthoritySlot): string {
    return join(this.#directory, `${slot}.pem`)
  }
}

function onlyBlock(path: string, text: string, label: 'CERTIFICATE' | 'PRIVATE KEY'): Uint8Array {
  let blocks: readonly Uint8Array[]
  try {
    blocks = decodePem(text, label)
  } catch (error) {
    throw new CaError('CA_STORE_CORRUPT', `${path} is not PEM: ${messageOf(error)}`, { cause: error })
  }
  const [block] = blocks
  if (block === undefined || blocks.length !== 1)
    throw new CaError(
      'CA_STORE_CORRUPT',
      `${path}: expected one ${label}, got ${blocks.length}; restore it from a backup`,
    )
  return block
}
