/** Programs of other makes that tests talk to: finding them, running them, and never leaving one behind. */
import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { delimiter, join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

/** Where servers live, and Go, which the PATH of a user need not have. */
const MORE_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/go/bin']

const MAIN = join(import.meta.dirname, '../../src/cmd/main.ts')

/** Generous: the machine may have other things to do. What has not ended by then hangs. */
const DEADLINE_MS = 30_000

const POLL_MS = 20

/** A program that is here, and how it names its version. */
export interface Program {
  readonly path: string
  readonly version: string
}

/** The path of an executable, or undefined where this machine has none. */
function findProgram(name: string): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(delimiter).concat(MORE_DIRECTORIES)
  return directories.map((directory) => join(directory, name)).find(isExecutable)
}

/**
 * A program that is here and says a version that matches; or else, in words for `t.skip`, why it is of no use.
 *
 * @param asking its arguments that make it say its version
 * @param wanted matches its first words; the first group is the version
 */
export function probe(name: string, asking: readonly string[], wanted: RegExp): Program | string {
  const path = findProgram(name)
  if (path === undefined) return `${name} is not installed`
  const { stdout, stderr, error } = spawnSync(path, asking, { encoding: 'utf8', timeout: DEADLINE_MS })
  if (error !== undefined) return `${name} does not run: ${error.message}`
  const version = wanted.exec(stdout + stderr)?.[1]
  if (version === undefined)
    return `${name} is too old or of another kind: ${(stdout + stderr).slice(0, 120)}`
  return { path, version }
}

/** Runs programs that would otherwise say what they say into a pipe only in the end. */
export const STDBUF: Program | string = probe('stdbuf', ['--version'], /coreutils\) (\S+)/)

/** Words of a command line; groups of them say what belongs together. */
export type Args = readonly (string | readonly string[])[]

/** How a process ended; `code` is null when a signal ended it. */
export interface PeerResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface PeerOptions {
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
  /** It is killed then. @default 30 s */
  readonly deadlineMs?: number
}

/** A running program; it does not outlive its test, nor its deadline. */
export class PeerProcess {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>
  stdout = ''
  stderr = ''
  readonly #closed: Promise<unknown>
  #isClosed = false

  constructor(
    t: TestContext,
    path: string,
    args: Args,
    { env = {}, deadlineMs = DEADLINE_MS }: PeerOptions = {},
  ) {
    this.child = spawn(path, args.flat(), {
      // Messages are matched in English, times are those of the certificates.
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], LC_ALL: 'C', TZ: 'UTC', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    // Programs may end without having read what they were told.
    this.child.stdin.on('error', () => {})
    this.#closed = new Promise<void>((resolve) => {
      this.child.once('close', resolve)
      this.child.once('error', (error) => {
        this.stderr += error.message
        resolve()
      })
    }).then(() => (this.#isClosed = true))
    const timer = setTimeout(() => this.child.kill('SIGKILL'), deadlineMs)
    t.after(async () => {
      clearTimeout(timer)
      await this.stop('SIGKILL')
    })
  }

  /**
   * Resolves once what it said matches.
   *
   * @param from how many characters of the stream to leave out
   * @throws when it ends without
   */
  async saw(
    pattern: RegExp,
    stream: 'stdout' | 'stderr' | 'either' = 'either',
    from = 0,
  ): Promise<RegExpExecArray> {
    for (;;) {
      const isClosed = this.#isClosed
      const said = stream === 'either' ? `${this.stdout}\n${this.stderr}` : this[stream]
      const match = pattern.exec(said.slice(from))
      if (match !== null) return match
      if (isClosed) throw new Error(`Ended without ${String(pattern)}: ${this.stdout}\n${this.stderr}`)
      await Promise.race([this.#closed, pause(POLL_MS)])
    }
  }

  write(text: string): void {
    this.child.stdin.write(text)
  }

  /** Ends its standard input. */
  end(text = ''): void {
    this.child.stdin.end(text)
  }

  async ended(): Promise<PeerResult> {
    await this.#closed
    return { code: this.child.exitCode, stdout: this.stdout, stderr: this.stderr }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<PeerResult> {
    if (!this.#isClosed) this.child.kill(signal)
    return this.ended()
  }
}

/** Our own command line, from its source, as a process of its own. */
export function startHandfast(t: TestContext, args: Args, options?: PeerOptions): PeerProcess {
  return new PeerProcess(t, process.execPath, [MAIN, ...args], options)
}

/** A port of loopback that was free a moment ago, for programs that cannot take any free one by themselves. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Resolves once somebody accepts connections at a port of loopback, which costs a connection there. */
export async function accepting(port: number): Promise<void> {
  for (const givenUpAt = Date.now() + DEADLINE_MS; ; await pause(POLL_MS)) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    if (isOpen) return
    if (Date.now() > givenUpAt) throw new Error(`Nobody listens on port ${port}`)
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
