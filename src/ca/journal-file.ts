import { open, type FileHandle } from 'node:fs/promises'
import type { CryptoProvider, PrivateKey } from '../crypto/provider.ts'
import { messageOf } from '../errors.ts'
import { CaError } from './errors.ts'
import { saveCheckpoint } from './journal-checkpoint.ts'
import type { JournalFiles } from './journal-files.ts'
import { addEntry, encodeHead, encodeLeaf } from './journal-line.ts'
import type { JournalPosition } from './journal-reader.ts'
import type { IssuanceJournal, JournalEntry, JournalNote } from './journal.ts'
import { rootOf } from './merkle-tree.ts'
import { type SignedTreeHead, signTreeHead } from './tree-head.ts'

/** More entries than this waiting for the disk means that the disk has stopped: refuse instead of growing. */
const MAX_WAITING = 1024

/** A controller that was killed reads no more entries than this when it starts again: some tens of milliseconds. */
const CHECKPOINT_ENTRIES = 4096

export interface JournalFileOptions {
  readonly crypto: CryptoProvider
  /** Signs heads. */
  readonly key: PrivateKey
  /** Right after the last head of the log, which is the end of the file. */
  readonly position: JournalPosition
  readonly nowMs: () => number
}

interface Waiting {
  readonly entry: JournalEntry | JournalNote
  readonly written: PromiseWithResolvers<void>
}

/**
 * The issuance journal as a file of lines that only grows (journal-line.ts).
 *
 * Entries that arrive during a flush share the next one, and its signed head, so the disk's latency bounds the delay of an
 * entry and not the number of entries per second.
 */
export class JournalFile implements IssuanceJournal, AsyncDisposable {
  readonly #files: JournalFiles
  readonly #file: FileHandle
  readonly #options: JournalFileOptions
  #position: JournalPosition
  #checkpointSize: number
  #checkpoint: Promise<void> = Promise.resolve()
  #waiting: Waiting[] = []
  #flushing: Promise<void> | undefined
  #broken: CaError | undefined

  private constructor(files: JournalFiles, file: FileHandle, options: JournalFileOptions) {
    this.#files = files
    this.#file = file
    this.#options = options
    this.#position = options.position
    this.#checkpointSize = options.position.state.frontier.size
  }

  /** Goes on with a log that has been read (open-journal.ts does that). @throws CaError CA_STORE_IO */
  static async open(files: JournalFiles, options: JournalFileOptions): Promise<JournalFile> {
    try {
      return new JournalFile(files, await open(files.log, 'a'), options)
    } catch (error) {
      throw new CaError('CA_STORE_IO', `Cannot open the journal ${files.log}: ${messageOf(error)}`, {
        path: files.log,
        cause: error,
      })
    }
  }

  /** The newest head; undefined before the first entry. */
  get head(): SignedTreeHead | undefined {
    return this.#position.state.head
  }

  append(entry: JournalEntry | JournalNote): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken)
    if (this.#waiting.length >= MAX_WAITING)
      return Promise.reject(new CaError('CA_BUSY', `${MAX_WAITING} journal entries wait for the disk`))
    const written = Promise.withResolvers<void>()
    this.#waiting.push({ entry, written })
    this.#flushing ??= this.#flush()
    return written.promise
  }

  /** Writes what waits, then closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#flushing
    await this.#checkpoint
    if (this.#broken === undefined) await this.#saveCheckpoint()
    await this.#file.close()
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        const { text, position } = this.#signed(batch)
        await this.#file.appendFile(text)
        await this.#file.datasync()
        this.#position = position
        for (const { written } of batch) written.resolve()
      } catch (error) {
        this.#fail([...batch, ...this.#waiting], error)
      }
      if (this.#position.state.frontier.size - this.#checkpointSize >= CHECKPOINT_ENTRIES)
        this.#checkpoint = this.#saveCheckpoint()
    }
    this.#flushing = undefined
  }

  /** The lines of a batch with their head, and where the journal is when they are on the disk. */
  #signed(batch: readonly Waiting[]): { readonly text: Buffer; readonly position: JournalPosition } {
    const { crypto, key, nowMs } = this.#options
    const { offset } = this.#position
    let { state } = this.#position
    const lines: string[] = []
    for (const { entry } of batch) {
      const added = addEntry(state, encodeLeaf(state.frontier.size, entry), crypto)
      lines.push(added.line)
      state = added.state
    }
    const { frontier } = state
    const head = signTreeHead({ size: frontier.size, root: rootOf(frontier, crypto), timeMs: nowMs() }, key)
    lines.push(encodeHead(head))
    const text = Buffer.from(`${lines.join('\n')}\n`)
    return { text, position: { state: { ...state, head }, offset: offset + text.length } }
  }

  /** Without it the next start only takes longer, so a failure is let go. */
  async #saveCheckpoint(): Promise<void> {
    this.#checkpointSize = this.#position.state.frontier.size
    await saveCheckpoint(this.#files, this.#position).catch(() => {})
  }

  /** After a failed write or flush nobody knows what is on the disk: nothing more is issued until a restart. */
  #fail(unwritten: readonly Waiting[], cause: unknown): void {
    this.#waiting = []
    this.#broken = new CaError(
      'CA_STORE_IO',
      `Cannot write the journal ${this.#files.log}: ${messageOf(cause)}`,
      { cause },
    )
    for (const { written } of unwritten) written.reject(this.#broken)
  }
}
