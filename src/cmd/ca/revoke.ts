import type { RevocationAnswer } from '../controller/revocation.ts'
import { askController } from '../controller/ask-controller.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { parseFlags } from '../flags.ts'
import { namedSubject, proxiesText, revocationText, SUBJECT_OPTIONS } from './revocation-flags.ts'
import { stateDirOf } from './state-dir.ts'

/** `handfast ca revoke` */
export const caRevoke: Command = {
  summary: 'Take a certificate, an identity or an authority out of use, everywhere and at once',
  usage: `Usage: handfast ca revoke WHAT (--config FILE | --state-dir DIR) [--reason TEXT] [--json]

Asks the controller that runs in the state directory, as the user that it runs as. When the command answers, the
revocation is on the disk and in the journal; proxies cut the live connections of whoever is revoked, and refuse new
ones and resumptions with certificate_revoked. Exactly one of these says what is revoked:

  --serial HEX         one certificate of a workload, until it ends. The workload gets another with its token
  --spiffe-id ID       an identity: no certificate of it is accepted, and none is issued, until it is taken back
  --issuer HEX|FILE    an authority, with all that it has certified: the SHA-256 of its public key
                       (SubjectPublicKeyInfo), or its certificate as PEM. Not the one that signs now: rotate first

  --reason TEXT        why; it is kept and journaled
  --config FILE        the controller's configuration
  --state-dir DIR      the controller's state directory
  --json               print the answer as JSON

handfast ca revoke list shows what is revoked, handfast ca unrevoke takes it back.
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: { ...SUBJECT_OPTIONS, reason: { type: 'string', default: '' } },
    })
    const answer = (await askController(await stateDirOf(values), {
      verb: 'revoke',
      ...(await namedSubject(values)),
      reason: values.reason,
    })) as RevocationAnswer
    io.stdout.write(values.json ? `${JSON.stringify(answer, null, 2)}\n` : answerText(answer))
    return ExitCode.success
  },
}

function answerText(answer: RevocationAnswer): string {
  const title = answer.changed ? 'Revoked' : 'Already revoked:'
  return `${title} ${revocationText(answer.revocation)}${proxiesText(answer)}`
}
