import type { RevocationAnswer } from '../controller/revocation.ts'
import { revokedText } from '../../identity/revocations.ts'
import { askController } from '../controller/ask-controller.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { parseFlags } from '../flags.ts'
import { namedSubject, proxiesText, SUBJECT_OPTIONS } from './revocation-flags.ts'
import { stateDirOf } from './state-dir.ts'

/** `handfast ca unrevoke` */
export const caUnrevoke: Command = {
  summary: 'Take the revocation of an identity or of an authority back',
  usage: `Usage: handfast ca unrevoke WHAT (--config FILE | --state-dir DIR) [--json]

Asks the controller that runs in the state directory, as the user that it runs as. The revocation of a certificate is
never taken back: its workload gets another with its token.

  --spiffe-id ID       an identity
  --issuer HEX|FILE    an authority, as for handfast ca revoke

  --config FILE        the controller's configuration
  --state-dir DIR      the controller's state directory
  --json               print the answer as JSON
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, { options: SUBJECT_OPTIONS })
    const { subject } = await namedSubject(values)
    const answer = (await askController(await stateDirOf(values), {
      verb: 'unrevoke',
      subject,
    })) as RevocationAnswer
    const text = `No longer revoked: ${revokedText(subject)}\n${proxiesText(answer)}`
    io.stdout.write(values.json ? `${JSON.stringify(answer, null, 2)}\n` : text)
    return ExitCode.success
  },
}
