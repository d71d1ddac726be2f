import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readTrustBundlePem, TrustBundles } from '../../src/identity/trust-bundle.ts'

const MAIN = join(import.meta.dirname, '../../src/cmd/main.ts')
type LogLine = Readonly<Record<string, unknown>> & { readonly message: string; readonly level: string }

/** A `handfast controller` in a process of its own. */
export interface RunningController {
  readonly process: ChildProcess
  readonly lines: readonly LogLine[]
  readonly address: string
  /** The first line with this message, from now or before; `after` leaves out so many lines. */
  readonly line: (message: string, after?: number) => Promise<LogLine>
  /** @returns the exit code */
  readonly stop: () => Promise<number>
}

/** Starts one, and waits until it is ready. */
export async function startController(
  t: TestContext,
  ...flags: readonly string[]
): Promise<RunningController> {
  const child = spawn(process.execPath, [MAIN, 'controller', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'exit') as Promise<[number]>
  t.after(() => child.kill('SIGKILL'))
  const lines: LogLine[] = []
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  createInterface(child.stdout).on('line', (line) => lines.push(JSON.parse(line) as LogLine))
  const line = async (message: string, after = 0): Promise<LogLine> => {
    for (const endMs = Date.now() + 15_000; Date.now() < endMs; await sleep(10)) {
      const found = lines.slice(after).find((candidate) => candidate.message === message)
      if (found !== undefined) return found
      if (child.exitCode !== null) assert.fail(`exited with ${child.exitCode}: ${stderr}`)
    }
    return assert.fail(`no line "${message}" among ${JSON.stringify(lines)}; ${stderr}`)
  }
  const ready = await line('ready')
  const stop = async (): Promise<number> => {
    child.kill('SIGTERM')
    return (await exited)[0]
  }
  return { process: child, lines, address: String(ready['address']), line, stop }
}

/** Runs any command line to its end. */
export function run(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    timeout: 20_000,
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

/** What a controller with this state directory tells its proxies to trust. */
export async function bundlesIn(stateDir: string): Promise<TrustBundles> {
  return TrustBundles.of(
    readTrustBundlePem('example.org', await readFile(join(stateDir, 'trust-bundle.pem'), 'utf8')),
  )
}

/** For the trust domain example.org. */
export function flagsFor(stateDir: string): readonly string[] {
  return ['--trust-domain', 'example.org', '--state-dir', stateDir]
}
