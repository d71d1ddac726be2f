/** Runs the demo as its users do: as a process of its own, with a directory for temporary files that is the test's. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const ROOT = join(import.meta.dirname, '../../..')

/** The renewal alone takes ten seconds, and the machine may be busy with other tests. */
const DEADLINE_MS = 110_000

/** Long enough for the demo to stop its own processes. */
const STOP_MS = 10_000

export class RunningDemo {
  stdout = ''
  stderr = ''
  readonly directory: string
  readonly ended: Promise<number | null>
  readonly #child

  private constructor(t: TestContext, directory: string, args: readonly string[]) {
    this.directory = directory
    const child = spawn(process.execPath, ['src/cmd/main.ts', 'demo', ...args], {
      cwd: ROOT,
      // As narrow as text is laid out.
      env: { PATH: process.env['PATH'], TMPDIR: directory, COLUMNS: '80' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.ended = once(child, 'close').then(([code]) => code as number | null)
    const deadline = setTimeout(() => child.kill('SIGTERM'), DEADLINE_MS)
    t.after(async () => {
      clearTimeout(deadline)
      if (child.exitCode !== null || child.signalCode !== null) return
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      child.kill('SIGTERM')
      await this.ended
      clearTimeout(force)
    })
  }

  static async start(t: TestContext, ...args: readonly string[]): Promise<RunningDemo> {
    const directory = join(await temporaryDirectory(t), 'tmp')
    await mkdir(directory)
    return new RunningDemo(t, directory, args)
  }

  /** Resolves once standard output matches. */
  async saw(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.stdout)) {
      const ended = await Promise.race([
        once(this.#child.stdout, 'data').then(() => false),
        this.ended.then(() => true),
      ])
      if (ended && !pattern.test(this.stdout))
        throw new Error(`The demo ended before it said ${String(pattern)}:\n${this.stdout}${this.stderr}`)
    }
  }

  /** Every address that it named. */
  get addresses(): readonly string[] {
    return [...new Set(this.stdout.match(/127\.0\.0\.1:\d+/g))]
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }
}
