import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'

/** What a program tells on its standard output, one JSON object a line. */
export type Line = Readonly<Record<string, unknown>>

/** How long a program may take to say what is waited for. */
const PATIENCE_MS = 20_000

/** How long a program may take to stop in order. */
const STOP_MS = 5_000

/** A Node program that this bench started and stops. */
export class Program implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #lines: Line[] = []
  readonly #waiting = new Set<() => void>()
  #rest = ''
  #errors = ''

  /** @param args the script and what follows it */
  constructor(name: string, args: readonly string[]) {
    this.#name = name
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
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
  async line(wanted: (line: Line) => boolean): Promise<Line> {
    const late = Date.now() + PATIENCE_MS
    for (;;) {
      const found = this.#lines.find(wanted)
      if (found !== undefined) return found
      if (this.#child.exitCode !== null || Date.now() > late)
        throw new Error(`${this.#name} did not say what was expected of it: ${this.#errors}`)
      await this.#change(late - Date.now())
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    await exit
    clearTimeout(timer)
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

/** Runs a Node program to its end. @returns its standard output. @throws Error when it fails */
export async function runToEnd(args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${args.join(' ')} failed: ${errors || output}`)
  return output
}

/** Processor time that a process has used, user and system, in seconds; undefined where there is no /proc. */
export function cpuSeconds(pid: number): number | undefined {
  const stat = readProc(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  // The name in parentheses may hold anything; what follows it are numbers (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND
}

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const CLOCK_TICKS_PER_SECOND = 100

/** Resident memory of a process in MiB; undefined where there is no /proc. */
export function residentMiB(pid: number): number | undefined {
  const kib = readProc(`/proc/${pid}/status`)?.match(/^VmRSS:\s+(\d+) kB$/m)?.[1]
  return kib === undefined ? undefined : Number(kib) / 1024
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
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
