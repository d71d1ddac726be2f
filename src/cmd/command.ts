import type { Readable, Writable } from 'node:stream'

/** What a command may touch of the process that runs it. */
export interface CommandIo {
  readonly stdin: Readable
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable & { readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborts on SIGINT and SIGTERM: stop cleanly, then return. */
  readonly signal: AbortSignal
}

/** Exit codes: misuse is told apart from failure. */
export const ExitCode = { success: 0, failure: 1, misuse: 2 } as const

/** One verb of the command line. */
export interface Command {
  /** What it does, in one line. */
  readonly summary: string
  /** The whole help text. */
  readonly usage: string
  /**
   * @param args what follows the verb
   * @returns the exit code
   * @throws UsageError, ConfigError for misuse (exit code 2), anything else for a failure (exit code 1)
   */
  run(args: readonly string[], io: CommandIo): Promise<number>
}
