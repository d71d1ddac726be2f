import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { DemoError } from '../errors.ts'
import { within } from './wait.ts'

/** A line of a child's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly message: string }

export interface ChildOptions {
  /** What people call it. */
  readonly name: string
  /** Of Node. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Everything it writes goes there. */
  readonly logFile: string
  /** From SIGTERM to SIGKILL. @default 5,000 ms */
  readonly stopTimeoutMs?: number
}

/** From SIGTERM to the end; a sidecar drains in a second. */
const STOP_TIMEOUT_MS = 5_000

/** Enough of a log to see what went wrong. */
const LAST_LINES = 5
const LAST_CHARACTERS = 300

/** A process of the demo that runs until it is told to stop. */
export class Child {
  readonly name: string
  readonly logFile: string
  /** Resolves when it has ended, with how. */
  readonly ended: Promise<string>
  readonly #process: ChildProcess
  readonly #first = new Map<string, LogLine>()
  readonly #listeners = new Set<(line: LogLine) => void>()
  readonly #stopTimeoutMs: number
  #stopping = false

  constructor({ name, args, env, logFile, stopTimeoutMs = STOP_TIMEOUT_MS }: ChildOptions) {
    this.#stopTimeoutMs = stopTimeoutMs
    this.name = name
    this.logFile = logFile
    const log = openSync(logFile, 'a', 0o600)
    // In a process group of its own: Ctrl-C is for the demo, which then stops its children in order.
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', log], detached: true })
    this.#process = child
    createInterface({ input: child.stdout! }).on('line', (text) => {
      writeSync(log, `${text}\n`)
      this.#read(text)
    })
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(`it could not be started: ${error.message}`))
      child.once('close', (code, signal) => {
        closeSync(log)
        resolve(signal === null ? `exit code ${code}` : `signal ${signal}`)
      })
    })
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  get isStopping(): boolean {
    return this.#stopping
  }

  /**
   * The first line with this message, whether it has come or is to come.
   *
   * @throws DemoError DEMO_CHILD_ENDED, DEMO_TIMEOUT
   */
  async line(
    message: string,
    limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<LogLine> {
    const known = this.#first.get(message)
    if (known !== undefined) return known
    const found = Promise.withResolvers<LogLine>()
    const unsubscribe = this.onLine((line) => {
      if (line.message === message) found.resolve(line)
    })
    const ended = this.ended.then((how): never => {
      throw this.endedError(how)
    })
    try {
      return await within(Promise.race([found.promise, ended]), {
        what: `${this.name} to say "${message}" (${this.logFile})`,
        ...limits,
      })
    } finally {
      unsubscribe()
    }
  }

  /** Calls `listener` with every line to come; returns the way to stop that. */
  onLine(listener: (line: LogLine) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** What to say of an end that nobody asked for. */
  endedError(how: string): DemoError {
    const words = lastWords(readFileSync(this.logFile, 'utf8'))
      .map((line) => `\n  ${line}`)
      .join('')
    return new DemoError(
      'DEMO_CHILD_ENDED',
      `${this.name} ended on its own, ${how}; ${this.logFile} ends with:${words || ' nothing'}`,
    )
  }

  /** Ends it in order, and by force when that takes too long. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.kill(), this.#stopTimeoutMs)
    await this.ended
    clearTimeout(timer)
  }

  /** Ends it at once. */
  kill(): void {
    this.#stopping = true
    this.#process.kill('SIGKILL')
  }

  #read(text: string): void {
    const line = parseLine(text)
    if (line === undefined) return
    if (!this.#first.has(line.message)) this.#first.set(line.message, line)
    for (const listener of this.#listeners) listener(line)
  }
}

/** The end of a log, without the traffic and without what is too long to read. */
export function lastWords(log: string): string[] {
  const lines = log.split('\n').filter((text) => text !== '' && parseLine(text)?.message !== 'access')
  return lines.slice(-LAST_LINES).map((text) => {
    return text.length <= LAST_CHARACTERS ? text : `${text.slice(0, LAST_CHARACTERS)}…`
  })
}

/** A line of a log; undefined for what is none. */
export function parseLine(text: string): LogLine | undefined {
  try {
    const line: unknown = JSON.parse(text)
    const isLine =
      typeof line === 'object' && line !== null && 'message' in line && typeof line.message === 'string'
    return isLine ? (line as LogLine) : undefined
  } catch {
    return undefined
  }
}
