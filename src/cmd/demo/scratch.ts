import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A directory for the owner alone that is gone afterwards, unless someone has to look into it. */
export class Scratch implements AsyncDisposable {
  readonly path: string
  readonly logs: string
  readonly #onExit = (): void => rmSync(this.path, { recursive: true, force: true })

  private constructor(path: string) {
    this.path = path
    this.logs = join(path, 'logs')
    // For a process that is made to exit at once.
    process.on('exit', this.#onExit)
  }

  static async make(): Promise<Scratch> {
    const scratch = new Scratch(await mkdtemp(join(tmpdir(), 'handfast-demo-')))
    await mkdir(scratch.logs)
    return scratch
  }

  #kept = false

  /** Leaves everything where it is. */
  keep(): void {
    this.#kept = true
    process.off('exit', this.#onExit)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#onExit)
    if (!this.#kept) await rm(this.path, { recursive: true, force: true })
  }
}
