import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** What a program tells on its standard output, one JSON object a line. */
export type Line = Readonly<Record<string, unknown>>

/** How long a program may take to say what is waited for. */
const PATIENCE_MS = 20_000

/** How long a program may take to stop in order. */
const STOP_MS = 5_000

/** A program that this bench started and stops. */
export class Program implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #lines: Line[] = []
  readonly #waiting = new Set<() => void>()
  #rest = ''
  #errors = ''

  /**
   * @param command the executable and its arguments
   * @param stdin `pipe` for a program that goes on until its input ends. @default 'ignore'
   */
  constructor(name: string, [file, ...args]: readonly string[], stdin: 'ignore' | 'pipe' = 'ignore') {
    this.#name = name
    this.#child = spawn(file!, args, { stdio: [stdin, 'pipe', 'pipe'] })
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#errors += text))
    this.#child.once('exit', () => this.#wake())
  }

  get pid(): number {
    return this.#child.pid!
  }

  /**
   * The first line, already said or still to come, for which `wanted` holds.
   *
   * @throws Error when the program ends or takes too long
   */
  async line(wanted: (line: Line) => boolean, patienceMs: number = PATIENCE_MS): Promise<Line> {
    const late = Date.now() + patienceMs
    for (;;) {
      const found = this.#lines.find(wanted)
      if (found !== undefined) return found
      if (this.#child.exitCode !== null || Date.now() > late) throw this.#silent()
      await this.#change(late - Date.now())
    }
  }

  /** Resolves when something listens on `port` of loopback. @throws Error when the program ends or takes too long */
  async listening(port: number): Promise<void> {
    for (const late = Date.now() + PATIENCE_MS; Date.now() < late; await pause(20)) {
      if (this.#child.exitCode !== null) break
      if (await answers(port)) return
    }
    throw this.#silent()
  }

  /** Ends its standard input, and waits until it has ended as well. */
  async finish(): Promise<void> {
    const exit = once(this.#child, 'exit')
    this.#child.stdin!.end()
    await exit
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    await exit
    clearTimeout(timer)
  }

  #silent(): Error {
    return new Error(`${this.#name} did not say what was expected of it: ${this.#errors}`)
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, Math.max(timeoutMs, 1))
      this.#waiting.add(done)
    })
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) if (line.startsWith('{')) this.#lines.push(JSON.parse(line) as Line)
    this.#wake()
  }

  #wake(): void {
    for (const done of this.#waiting) done()
  }
}

/** Runs a program to its end. @returns its standard output. @throws Error when it fails */
export async function runToEnd([file, ...args]: readonly string[]): Promise<string> {
  const child = spawn(file!, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${[file, ...args].join(' ')} failed: ${errors || output}`)
  return output
}

/** Where an executable is installed; undefined where it is not. */
export function which(name: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path))
}

/** A TCP port on loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
