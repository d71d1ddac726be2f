import { open, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from '../errors.ts'
import { SECRET_FILE_MODE, syncDirectory } from './durable-file.ts'
import { CaError } from './errors.ts'
import type { IssuanceJournal, JournalEntry } from './journal.ts'

/** More entries than this waiting for the disk means that the disk has stopped: refuse instead of growing. */
const MAX_WAITING = 1024

interface Waiting {
  readonly line: string
  readonly written: PromiseWithResolvers<void>
}

/**
 * The issuance journal as a file of JSON lines that only grows.
 *
 * Entries that arrive during a flush share the next one, so the disk's latency bounds the delay of an entry and
 * not the number of entries per second.
 */
export class JournalFile implements IssuanceJournal, AsyncDisposable {
  readonly #path: string
  readonly #file: FileHandle
  #waiting: Waiting[] = []
  #flushing: Promise<void> | undefined
  #broken: CaError | undefined

  private constructor(path: string, file: FileHandle) {
    this.#path = path
    this.#file = file
  }

  /** Opens the journal, or begins it. @throws CaError CA_STORE_IO */
  static async open(path: string): Promise<JournalFile> {
    try {
      const file = await open(path, 'a+', SECRET_FILE_MODE)
      await endTornLine(file)
      await file.sync()
      await syncDirectory(dirname(path))
      return new JournalFile(path, file)
    } catch (error) {
      throw new CaError('CA_STORE_IO', `Cannot open the journal ${path}: ${messageOf(error)}`, {
        path,
        cause: error,
      })
    }
  }

  append(entry: JournalEntry): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken)
    if (this.#waiting.length >= MAX_WAITING)
      return Promise.reject(new CaError('CA_BUSY', `${MAX_WAITING} journal entries wait for the disk`))
    const written = Promise.withResolvers<void>()
    this.#waiting.push({ line: `${JSON.stringify(entry)}\n`, written })
    this.#flushing ??= this.#flush()
    return written.promise
  }

  /** Writes what waits, then closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#flushing
    await this.#file.close()
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        await this.#file.appendFile(batch.map(({ line }) => line).join(''))
        await this.#file.datasync()
        for (const { written } of batch) written.resolve()
      } catch (error) {
        this.#fail([...batch, ...this.#waiting], error)
      }
    }
    this.#flushing = undefined
  }

  /** After a failed write or flush nobody knows what is on the disk: nothing more is issued until a restart. */
  #fail(unwritten: readonly Waiting[], cause: unknown): void {
    this.#waiting = []
    this.#broken = new CaError('CA_STORE_IO', `Cannot write the journal ${this.#path}: ${messageOf(cause)}`, {
      cause,
    })
    for (const { written } of unwritten) written.reject(this.#broken)
  }
}

/** A crash may have cut the last line. It is evidence and stays; the next entry begins on a line of its own. */
async function endTornLine(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  if (size === 0) return
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
  if (buffer[0] !== 0x0a) await file.appendFile('\n')
}
