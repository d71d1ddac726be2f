/** Runs the command line as its users do: as a process of its own. */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'

const MAIN = join(import.meta.dirname, '../../src/cmd/main.ts')

/** A server lives as long as its test, which takes seconds, or a minute on a machine with much else to do; what hangs is stopped. */
const DEADLINE_MS = 120_000

export interface CliResult {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A running command. */
export class Cli {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>
  stdout = ''
  stderr = ''
  readonly #closed: Promise<unknown[]>

  constructor(
    t: TestContext,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    deadlineMs: number = DEADLINE_MS,
    program: string = MAIN,
    /** A command line that runs the command line after it, somewhere else or as somebody else. */
    under: readonly string[] = [],
  ) {
    const [file, ...rest] = [...under, process.execPath, program, ...args] as [string, ...string[]]
    this.child = spawn(file, rest, {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    // A command that ends before it has read its input is none of the test's business.
    this.child.stdin.on('error', () => {})
    this.#closed = once(this.child, 'close')
    const timer = setTimeout(() => this.child.kill('SIGKILL'), deadlineMs)
    t.after(() => {
      clearTimeout(timer)
      this.child.kill('SIGKILL')
    })
  }

  /** Resolves once standard error, or standard output, matches. */
  async saw(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stderr'): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this[stream])
      if (match !== null) return match
      const ended = await Promise.race([
        once(this.child[stream], 'data').then(() => false),
        this.#closed.then(() => true),
      ])
      if (ended && !pattern.test(this[stream]))
        throw new Error(`The command ended before it said ${String(pattern)}: ${this.stderr}`)
    }
  }

  async ended(): Promise<CliResult> {
    const [code] = await this.#closed
    return { code: code as number | null, stdout: this.stdout, stderr: this.stderr }
  }
}

/** Runs a command to its end, with `input` as the whole of its standard input. */
export async function runCli(
  t: TestContext,
  args: readonly string[],
  { input = '', env = {} }: { readonly input?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<CliResult> {
  const cli = new Cli(t, args, env)
  cli.child.stdin.end(input)
  return cli.ended()
}
