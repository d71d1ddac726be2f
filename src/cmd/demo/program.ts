import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { isAbsolute, relative } from 'node:path'
import { text } from 'node:stream/consumers'
import { programFile } from '../places.ts'
import { shellQuote } from './invitation.ts'
import { within } from './wait.ts'

/** Arguments of Node for a verb of this very installation. */
export function verbArguments(...args: readonly string[]): string[] {
  return [programFile('main'), ...args]
}

/** Arguments of Node for one of the demo's applications. */
export function appArguments(name: 'catalog' | 'web'): string[] {
  return [programFile(`demo/${name}-app`)]
}

/** What a command came to. */
export interface VerbResult {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface VerbOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The whole of its standard input. @default nothing */
  readonly input?: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/**
 * Runs a verb of this installation to its end, as a user would.
 *
 * @throws DemoError DEMO_TIMEOUT
 */
export async function runVerb(args: readonly string[], options: VerbOptions): Promise<VerbResult> {
  const { env, input = '', timeoutMs, signal } = options
  const child = spawn(process.execPath, verbArguments(...args), { env, stdio: ['pipe', 'pipe', 'pipe'] })
  // It may end before it has read what it was given.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  try {
    const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)])
    const [[code], stdout, stderr] = await within(ended, {
      what: `handfast ${args[0] ?? ''} ${args[1] ?? ''} to end`,
      timeoutMs,
      signal,
    })
    return { code: code as number | null, stdout, stderr }
  } finally {
    child.kill('SIGKILL')
  }
}

/** How a user calls this very installation from a shell in `directory`. */
export function handfastCommand(directory: string): string {
  return [process.execPath, programFile('main')]
    .map((path) => shellQuote(nearPath(path, directory)))
    .join(' ')
}

/** Relative where that stays inside the directory. */
export function nearPath(path: string, directory: string): string {
  const near = relative(directory, path)
  return near.startsWith('..') || isAbsolute(near) ? path : near
}
