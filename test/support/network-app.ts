import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'

const PROGRAM = join(import.meta.dirname, '../netns/programs/app.ts')

/** What {@link NetworkApp} can be told to do. */
export type Order =
  /** Answer on a port, in both families, whatever comes, with `<client> said <what came>`; after a greeting, if there is one. */
  | { readonly kind: 'serve'; readonly port: number; readonly greeting?: string }
  | { readonly kind: 'close'; readonly port: number }
  /** Say a text, end, and wait for the answer. */
  | { readonly kind: 'talk'; readonly host: string; readonly port: number; readonly text: string }

/** How it went: what was answered, or the code of what was in the way. */
export interface Told {
  readonly text?: string
  readonly error?: string
}

/** An application in a process of its own that knows nothing of any mesh. */
export class NetworkApp {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #waiting = new Map<number, (told: Told) => void>()
  #orders = 0

  /** @param under the command line that runs it where it belongs */
  constructor(t: TestContext, under: readonly [string, ...string[]]) {
    const [file, ...args] = under
    this.#child = spawn(file, [...args, process.execPath, PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] })
    t.after(() => this.#child.kill('SIGKILL'))
    this.#child.stdin.on('error', () => {})
    createInterface(this.#child.stdout).on('line', (line) => {
      const { id, told } = JSON.parse(line) as { readonly id: number; readonly told: Told }
      this.#waiting.get(id)?.(told)
      this.#waiting.delete(id)
    })
    this.#child.once('exit', () => {
      for (const tell of this.#waiting.values()) tell({ error: 'ENDED' })
    })
  }

  serve(port: number, greeting: string = ''): Promise<Told> {
    return this.#tell({ kind: 'serve', port, greeting })
  }

  close(port: number): Promise<Told> {
    return this.#tell({ kind: 'close', port })
  }

  talk(host: string, port: number, text: string): Promise<Told> {
    return this.#tell({ kind: 'talk', host, port, text })
  }

  #tell(order: Order): Promise<Told> {
    const id = ++this.#orders
    this.#child.stdin.write(`${JSON.stringify({ id, order })}\n`)
    return new Promise((resolve) => this.#waiting.set(id, resolve))
  }
}
