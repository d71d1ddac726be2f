import { join } from 'node:path'
import { Child } from './child.ts'

export interface FamilyOptions {
  /** Where the children's logs go. */
  readonly logDirectory: string
  /** What every child inherits. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** What a child gets from SIGTERM to SIGKILL. @default 5,000 ms */
  readonly stopTimeoutMs?: number
}

/** All the processes that a demo runs on; none outlives it. */
export class Family implements AsyncDisposable {
  readonly #options: FamilyOptions
  readonly #children: Child[] = []
  readonly #broken = new AbortController()
  readonly #onExit = (): void => this.#killAll()

  constructor(options: FamilyOptions) {
    this.#options = options
    // The last resort, for a demo that is itself made to exit at once.
    process.on('exit', this.#onExit)
  }

  /** Aborts, with a DemoError as the reason, when a child has ended that nobody told to. */
  get signal(): AbortSignal {
    return this.#broken.signal
  }

  /** @param name also names its log file, with dashes for what is not a letter or digit */
  start(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
    const { logDirectory, env: inherited, stopTimeoutMs } = this.#options
    const child = new Child({
      name,
      args,
      env: { ...inherited, ...env },
      ...(stopTimeoutMs !== undefined && { stopTimeoutMs }),
      logFile: join(logDirectory, `${logName(name)}.log`),
    })
    this.#children.push(child)
    void this.#watch(child)
    return child
  }

  /** Stops all children and waits for their ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()))
    process.off('exit', this.#onExit)
  }

  async #watch(child: Child): Promise<void> {
    const how = await child.ended
    if (!child.isStopping) this.#broken.abort(child.endedError(how))
  }

  #killAll(): void {
    for (const child of this.#children) child.kill()
  }
}

/** `catalog's sidecar` becomes `catalog-sidecar`. */
export function logName(name: string): string {
  return name.replaceAll("'s", '').replaceAll(/[^a-z0-9]+/gi, '-')
}
