import type { AuthorityReport, RotationReport } from '../../ca/rotator.ts'
import { askController } from '../controller/ask-controller.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { UsageError } from '../errors.ts'
import { parseFlags, quoted } from '../flags.ts'
import { stateDirOf } from './state-dir.ts'

const ACTIONS = ['status', 'prepare', 'activate', 'taint', 'remove', 'rollback'] as const

/** `handfast ca rotate` */
export const caRotate: Command = {
  summary: 'Replace the root and the intermediate of a running mesh, step by step',
  usage: `Usage: handfast ca rotate ACTION (--config FILE | --state-dir DIR) [--abandon-absent] [--json]

Asks the controller that runs in the state directory to take one step, as the user that it runs as. No step is taken
before every connected proxy is ready for it; those that are not are named. Nothing has to be restarted, and until
remove everything can be taken back.

  status     show the stage, and what each next step waits for
  prepare    make a new root, certified by the old one too, and an intermediate; distribute the root
  activate   sign with the new intermediate, once every connected proxy trusts the new root
  taint      have every workload replace its certificate by one of the new authority
  remove     distrust the old root, once nobody needs it any more, and delete its key. There is no way back
  rollback   sign with the old authority again, and give the new one up once nobody needs it any more

  --config FILE        the controller's configuration
  --state-dir DIR      the controller's state directory
  --abandon-absent     do not wait until the certificates of workloads that are not connected have ended: they will need
                       their join tokens to come back
  --json               print the report as JSON
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values, positionals } = parseFlags(args, {
      options: {
        config: { type: 'string' },
        'state-dir': { type: 'string' },
        'abandon-absent': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
      positionals: ['ACTION'],
    })
    const action = ACTIONS.find((name) => name === positionals[0])
    if (action === undefined)
      throw new UsageError(`Expected one of ${ACTIONS.join(', ')}, got ${quoted(positionals[0] ?? '')}`)
    const report = (await askController(await stateDirOf(values), {
      verb: 'rotate',
      action,
      abandonAbsent: values['abandon-absent'],
    })) as RotationReport
    io.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report))
    return ExitCode.success
  },
}

function reportText({ stage, since, current, next, connected, steps }: RotationReport): string {
  const title = stage === 'none' ? 'No rotation is under way' : `Rotation: ${stage} since ${since ?? ''}`
  const authorities = [
    authorityText(next === undefined ? 'Authority' : 'Old', current),
    ...(next === undefined ? [] : [authorityText('New', next)]),
  ]
  const ways = Object.entries(steps).map(
    ([step, { waitsFor }]) => `  ${step.padEnd(10)}${waitsFor ?? 'possible now'}\n`,
  )
  return `${title}\n\n${authorities.join('')}\nConnected proxies: ${connected}\n\nNext steps\n${ways.join('')}`
}

function authorityText(label: string, { number, root, intermediate, signs }: AuthorityReport): string {
  return `${label} ${number}${signs ? ', which signs' : ''}
  root          ${root.subject}, until ${root.notAfter}
  intermediate  ${intermediate.subject}, until ${intermediate.notAfter}
`
}
