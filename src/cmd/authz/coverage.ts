import { type Coverage, coverageOf, isCovered, type WorkloadPort } from '../../authz/flight/coverage.ts'
import type { FlightLine } from '../../authz/flight/flight-line.ts'
import { findEntries } from '../../ca/journal-query.ts'
import { isWorkloadId } from '../../config/spiffe.ts'
import { JOURNAL_OPTIONS, journalSources } from '../ca/journal-source.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { readOperatorFile } from '../files.ts'
import { parseFlags } from '../flags.ts'
import { FLIGHT_OPTIONS, FLIGHT_OPTIONS_HELP, flightLines } from './flight-source.ts'
import { TrustDomainOfLog } from './log-trust-domain.ts'
import { POLICY_OPTIONS, POLICY_OPTIONS_HELP, readPolicies } from './policies.ts'

/** `handfast authz coverage` */
export const authzCoverage: Command = {
  summary: 'Hold policy files against recorded calls: what has no policy, what is never used',
  usage: `Usage: handfast authz coverage -f PATH (--log FILE | --admin HOST:PORT) [--journal PATH | --identities FILE] [--json]

Finds, by the whole of the mesh's policy and recorded calls: workloads that no ALLOW policy is for, rules that decided nothing,
principals that do not exist, ports that rules name and that are not open, and open ports that no rule is for. The exit code is
0 when there is nothing of the kind, and 1 otherwise.

${POLICY_OPTIONS_HELP}${FLIGHT_OPTIONS_HELP}  --journal PATH           the controller's state directory, or its journal: who was ever issued a certificate exists
  --key FILE               the journal's public key, if it does not lie beside it
  --identities FILE        in its place: SPIFFE IDs, one a line
  --trust-domain NAME      the mesh's own (default: what the log says)
  --json                   print the result as JSON
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: {
        ...POLICY_OPTIONS,
        ...FLIGHT_OPTIONS,
        ...JOURNAL_OPTIONS,
        identities: { type: 'string' },
        'trust-domain': { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    const trustDomain = new TrustDomainOfLog(values['trust-domain'])
    const lines: FlightLine[] = []
    for await (const line of flightLines(values, io)) {
      trustDomain.take(line)
      lines.push(line)
    }
    const policies = await readPolicies(values.file, trustDomain.name)
    const coverage = coverageOf(lines, { policies, identities: await readIdentities(values) })
    io.stdout.write(values.json ? `${JSON.stringify(coverage, undefined, 2)}\n` : coverageText(coverage))
    return isCovered(coverage) ? ExitCode.success : ExitCode.failure
  },
}

interface IdentityFlags {
  readonly journal?: string | undefined
  readonly key?: string | undefined
  readonly identities?: string | undefined
}

async function readIdentities(flags: IdentityFlags): Promise<readonly string[] | undefined> {
  if (flags.identities !== undefined) {
    const text = await readOperatorFile({ path: flags.identities, field: '--identities' })
    return text.split('\n').flatMap((line) => (isWorkloadId(line.trim()) ? [line.trim()] : []))
  }
  if (flags.journal === undefined) return undefined
  const ids = new Set<string>()
  for (const { log, options } of await journalSources(flags))
    for await (const { fields } of findEntries(log, { kind: 'issued' }, options))
      if (typeof fields['spiffeId'] === 'string') ids.add(fields['spiffeId'])
  return [...ids]
}

function coverageText(coverage: Coverage): string {
  const { withoutPolicy, neverHit, unknownPrincipals, guardedNotOpen, openNotGuarded, unknownCalls } =
    coverage
  const sections = [
    section(
      'Workloads without an ALLOW policy',
      withoutPolicy.map(({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}`),
    ),
    section(
      'Rules that decided nothing',
      neverHit.map(({ policy, rule }) => `${policy} rule ${rule}`),
    ),
    section(
      'Principals that do not exist',
      unknownPrincipals.map(({ policy, rule, principal }) => `${principal} in ${policy} rule ${rule}`),
    ),
    section(
      'Ports that are guarded and not open',
      guardedNotOpen.map((entry) => `${portText(entry)} by ${entry.policies.join(', ')}`),
    ),
    section('Ports that are open and that no rule is for', openNotGuarded.map(portText)),
    section(
      'Calls that could not be judged',
      unknownCalls === 0 ? [] : [`${unknownCalls}, because policy reads what was not recorded`],
    ),
  ].filter((text) => text !== '')
  return sections.length === 0 ? 'Nothing to report\n' : sections.join('\n')
}

function section(title: string, entries: readonly string[]): string {
  return entries.length === 0
    ? ''
    : `${title}: ${entries.length}\n${entries.map((entry) => `  ${entry}\n`).join('')}`
}

function portText({ workload, port }: WorkloadPort): string {
  return `${workload.namespace}/${workload.serviceAccount}:${port}`
}
