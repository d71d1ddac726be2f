import { join } from 'node:path'
import { messageOf } from '../errors.ts'
import { makeDirectory, SECRET_DIRECTORY_MODE, SECRET_FILE_MODE, writeDurably } from './durable-file.ts'
import { CaError } from './errors.ts'
import { tryLockFile } from './file-lock.ts'
import type { HeldLease, Lease, LeaseRecord } from './lease.ts'
import { readSecretFile, refuseOpenDirectory } from './secret-file.ts'

/**
 * A lease as a lock of the kernel's, which lets go of it when its holder ends in whatever way: the next one takes over
 * without waiting for anything to run out. Who holds it, and under which term, is written beside it.
 */
export class FileLease implements Lease {
  readonly #directory: string
  readonly #record: string
  #made: Promise<void> | undefined

  /** @param directory it is made when the lease is taken for the first time */
  constructor(directory: string) {
    this.#directory = directory
    this.#record = join(directory, 'leader.json')
  }

  async tryAcquire(holder: string): Promise<HeldLease | undefined> {
    await (this.#made ??= this.#make())
    const lock = tryLockFile(join(this.#directory, 'lock'))
    if (lock === undefined) return undefined
    try {
      const term = ((await this.holder())?.term ?? 0) + 1
      const record = `${JSON.stringify({ term, holder })}\n`
      await writeDurably(this.#record, record, { mode: SECRET_FILE_MODE })
      return {
        term,
        // Only somebody who removes files by hand brings about a second holder.
        renew: async () => (await readSecretFile(this.#record)) === record,
        [Symbol.dispose]: () => lock[Symbol.dispose](),
      }
    } catch (error) {
      lock[Symbol.dispose]()
      throw error
    }
  }

  async holder(): Promise<LeaseRecord | undefined> {
    const text = await readSecretFile(this.#record)
    return text === undefined ? undefined : this.#decode(text)
  }

  async #make(): Promise<void> {
    await makeDirectory(this.#directory, SECRET_DIRECTORY_MODE)
    await refuseOpenDirectory(this.#directory)
  }

  #decode(text: string): LeaseRecord {
    try {
      const { term, holder } = Object(JSON.parse(text)) as Readonly<Record<string, unknown>>
      if (!Number.isSafeInteger(term) || typeof holder !== 'string')
        throw new TypeError('expected term and holder')
      return { term: Number(term), holder }
    } catch (error) {
      throw new CaError(
        'CA_STORE_CORRUPT',
        `${this.#record} is not readable: ${messageOf(error)}; stop all controllers, and delete it`,
        { path: this.#record, cause: error },
      )
    }
  }
}
