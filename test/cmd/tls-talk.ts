/** `tls serve` and `tls connect` against each other, and what each of them tells of a connection. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { Cli, runCli, type CliResult } from './cli.ts'

/** As much of a JSON document of `--json` as the tests here read. */
export interface Told {
  readonly outcome: string
  readonly settled: Readonly<Record<string, unknown>> & {
    readonly resumed?: boolean
    readonly ticket?: { readonly outcome: string; readonly reason?: string; readonly ageMs?: number }
    readonly earlyData?: { readonly outcome: string; readonly bytes: number }
    readonly peer?: { readonly name: string; readonly expiresAt: string }
  }
  readonly stages: readonly {
    readonly answer?: string
    readonly steps: readonly { readonly kind: string; readonly name?: string; readonly text?: string }[]
  }[]
  readonly failure?: { readonly code: string; readonly message: string }
}

/** A connection, as both sides tell it. */
export interface Talk extends CliResult {
  readonly client: Told
  readonly server: Told
}

/** A server on a free port that tells of its connections in JSON. */
export class TalkingServer {
  readonly cli: Cli
  readonly port: number
  readonly #t: TestContext
  #talks = 0

  static async start(t: TestContext, args: readonly string[]): Promise<TalkingServer> {
    const cli = new Cli(t, ['tls', 'serve', '--listen', '127.0.0.1:0', '--json', ...args])
    const [, port] = await cli.saw(/Listening on 127\.0\.0\.1:(\d+)\n/)
    return new TalkingServer(t, cli, Number(port))
  }

  private constructor(t: TestContext, cli: Cli, port: number) {
    this.#t = t
    this.cli = cli
    this.port = port
  }

  /** Runs `tls connect` to its end. */
  async talk(flags: readonly string[], input = 'word\n'): Promise<Talk> {
    const args = ['tls', 'connect', `localhost:${this.port}`, '--json', ...flags]
    const result = await runCli(this.#t, args, { input })
    const documents = toldIn(result.stderr)
    assert.ok(documents.length > 0, result.stderr)
    this.#talks += documents.length
    // One line for each connection, when it has ended.
    await this.cli.saw(new RegExp(`^(?:.*\\n){${this.#talks}}`), 'stdout')
    return { ...result, client: documents.at(-1)!, server: toldIn(this.cli.stdout).at(-1)! }
  }
}

/** The JSON documents among lines of text. */
export function toldIn(text: string): Told[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Told)
}
