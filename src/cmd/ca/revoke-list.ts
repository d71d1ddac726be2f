import type { RevocationPage, RevocationReport } from '../controller/revocation.ts'
import { askController } from '../controller/ask-controller.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { parseFlags } from '../flags.ts'
import { revocationText } from './revocation-flags.ts'
import { stateDirOf } from './state-dir.ts'

/** `handfast ca revoke list` */
export const caRevokeList: Command = {
  summary: 'Show what is revoked, since when and why',
  usage: `Usage: handfast ca revoke list (--config FILE | --state-dir DIR) [--json]

Asks the controller that runs in the state directory. What has been revoked before and has ended is in the journal:
handfast ca journal find --outcome revoked.

  --config FILE        the controller's configuration
  --state-dir DIR      the controller's state directory
  --json               print each revocation as one line of JSON
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: {
        config: { type: 'string' },
        'state-dir': { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    const stateDir = await stateDirOf(values)
    let found = 0
    for await (const revocation of revocationsIn(stateDir)) {
      found++
      io.stdout.write(values.json ? `${JSON.stringify(revocation)}\n` : revocationText(revocation))
    }
    if (!values.json) io.stderr.write(`${found} ${found === 1 ? 'revocation' : 'revocations'}\n`)
    return ExitCode.success
  },
}

/** Page by page. */
async function* revocationsIn(stateDir: string): AsyncGenerator<RevocationReport, void, undefined> {
  for (let from: number | undefined = 0; from !== undefined;) {
    const page = (await askController(stateDir, { verb: 'revocations', from })) as RevocationPage
    yield* page.revocations
    from = page.next
  }
}
