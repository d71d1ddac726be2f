import type { CallGroup, Edge, Simulation } from '../../authz/flight/simulate.ts'
import { changesAnything, Simulator } from '../../authz/flight/simulate.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { parseFlags } from '../flags.ts'
import { FLIGHT_OPTIONS, FLIGHT_OPTIONS_HELP, flightLines } from './flight-source.ts'
import { TrustDomainOfLog } from './log-trust-domain.ts'
import { POLICY_OPTIONS, POLICY_OPTIONS_HELP, readPolicies } from './policies.ts'

/** Of each list, so many lines are for a person; --json has all. */
const MAX_SHOWN = 40

/** `handfast authz simulate` */
export const authzSimulate: Command = {
  summary: 'Try policy files on recorded calls: what would be denied, what allowed',
  usage: `Usage: handfast authz simulate -f PATH (--log FILE | --admin HOST:PORT) [--json]

Decides every recorded call anew by policy files, with the evaluator that proxies decide with, and tells which would be denied
that were permitted, and the reverse. The files must be the whole of the mesh's policy. Calls of which too little was recorded, because
policy then in force did not look at what this one reads, are told apart and never guessed.

The exit code is 0 when nothing would change, and 1 when something would or may.

${POLICY_OPTIONS_HELP}${FLIGHT_OPTIONS_HELP}  --trust-domain NAME      the mesh's own (default: what the log says)
  --json                   print the result as JSON
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: {
        ...POLICY_OPTIONS,
        ...FLIGHT_OPTIONS,
        'trust-domain': { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    const trustDomain = new TrustDomainOfLog(values['trust-domain'])
    let simulator: Simulator | undefined
    for await (const line of flightLines(values, io)) {
      trustDomain.take(line)
      if (line.kind !== 'decision') continue
      simulator ??= new Simulator(await readPolicies(values.file, trustDomain.name))
      simulator.add(line)
    }
    simulator ??= new Simulator(await readPolicies(values.file, trustDomain.name))
    const result = simulator.result()
    io.stdout.write(values.json ? `${JSON.stringify(result, undefined, 2)}\n` : simulationText(result))
    return changesAnything(result) ? ExitCode.failure : ExitCode.success
  },
}

function simulationText(result: Simulation): string {
  const { revision, calls, unchanged, newlyDenied, newlyAllowed, unknown, edgesCut, edgesOpened } = result
  return [
    `${calls} calls by policy ${revision}: ${unchanged} as they were\n`,
    groupsText('Newly denied', newlyDenied),
    groupsText('Newly allowed', newlyAllowed),
    groupsText('Not known, because too little was recorded', unknown),
    edgesText('Nothing would pass any more', edgesCut),
    edgesText('Something would pass for the first time', edgesOpened),
  ].join('')
}

function groupsText(title: string, groups: readonly CallGroup[]): string {
  if (groups.length === 0) return ''
  const calls = groups.reduce((sum, group) => sum + group.calls, 0)
  const lines = groups
    .slice(0, MAX_SHOWN)
    .map(
      (group) =>
        `  ${group.calls} × ${edgeText(group)}${group.method === undefined ? '' : ` ${group.method} ${group.path}`}\n      ${group.why} (such as ${group.example})\n`,
    )
  return `\n${title}: ${calls}\n${lines.join('')}${more(groups)}`
}

function edgesText(title: string, edges: readonly Edge[]): string {
  if (edges.length === 0) return ''
  return `\n${title}: ${edges.length}\n${edges
    .slice(0, MAX_SHOWN)
    .map((edge) => `  ${edgeText(edge)}\n`)
    .join('')}${more(edges)}`
}

function edgeText({ peer, workload, port }: Edge): string {
  return `${peer} → ${workload.namespace}/${workload.serviceAccount}:${port}`
}

function more(list: readonly unknown[]): string {
  return list.length > MAX_SHOWN ? `  and ${list.length - MAX_SHOWN} more; --json has all\n` : ''
}
