import { CaError } from '../../ca/errors.ts'
import { formatDuration } from '../../config/duration.ts'
import type { BudgetEntry } from '../../control/outage-budget.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { askController } from '../controller/ask-controller.ts'
import { MAX_OUTAGE_LIMIT, type OutageReport, reportOutage } from '../controller/outage-report.ts'
import { UsageError } from '../errors.ts'
import { parseCount, parseFlags } from '../flags.ts'
import { journalsAt } from './journal-source.ts'
import { stateDirOf } from './state-dir.ts'

/** Names so many, unless told otherwise. */
const DEFAULT_LIMIT = 20

/** `handfast ca outage-budget` */
export const caOutageBudget: Command = {
  summary: 'Say which workload would fail first, and when, if the controller died now',
  usage: `Usage: handfast ca outage-budget (--config FILE | --state-dir DIR | --journal PATH) [--limit N] [--json]

Every workload works until its certificate ends, whether or not the controller is there. Lists the certificates in use
in the order in which they end, and names those that should have been renewed and were not.

Asks the controller that runs in the state directory, which knows who is connected. Where none answers, as in the middle
of an outage, the journal tells what can be told; with --journal nothing else is asked.

  --config FILE        the controller's configuration
  --state-dir DIR      the controller's state directory
  --journal PATH       the state directory, or a copy of its journal/log.jsonl
  --limit N            name so many workloads; ${DEFAULT_LIMIT} unless said otherwise, at most ${MAX_OUTAGE_LIMIT}
  --json               print the report as JSON
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: {
        config: { type: 'string' },
        'state-dir': { type: 'string' },
        journal: { type: 'string' },
        limit: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    const { journal } = values
    const limit =
      values.limit === undefined ? DEFAULT_LIMIT : parseCount('--limit', values.limit, MAX_OUTAGE_LIMIT)
    if (journal !== undefined && (values.config ?? values['state-dir']) !== undefined)
      throw new UsageError('--journal: expected no --config and no --state-dir beside it')
    const report =
      journal === undefined
        ? await askOrRead(await stateDirOf(values), { limit, io })
        : await readJournal(journal, limit)
    io.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report))
    return ExitCode.success
  },
}

async function askOrRead(
  stateDir: string,
  { limit, io }: { readonly limit: number; readonly io: CommandIo },
): Promise<OutageReport> {
  try {
    return (await askController(stateDir, { verb: 'outage-budget', limit })) as OutageReport
  } catch (error) {
    if (!(error instanceof CaError) || error.code !== 'CA_CONTROLLER_AWAY') throw error
    io.stderr.write(`${error.message}\nThe journal tells what it knows.\n`)
    return readJournal(stateDir, limit)
  }
}

async function readJournal(path: string, limit: number): Promise<OutageReport> {
  return reportOutage({ logs: await journalsAt(path), connected: undefined, nowMs: Date.now(), limit })
}

function reportText({ first, inUse, forsaken, counts, limits }: OutageReport): string {
  const verdict =
    first === undefined
      ? 'No workload has a certificate that is valid now.\n'
      : `If the controller died now, the first to fail would be ${nameOf(first)}, in ${leftText(first)}.\n`
  const { inUse: all, connected, overdue } = counts
  return [
    verdict,
    first === undefined ? '' : `\n${headText}${inUse.map(entryText).join('')}${moreText(all - inUse.length)}`,
    `\nCertificates in use: ${all}, ${connected} of them by connected proxies, ${overdue} overdue for renewal\n`,
    counts.forsaken === 0
      ? ''
      : `\nNot renewed in time, by workloads that have stopped or cannot reach the controller: ${counts.forsaken}\n${forsaken.map(entryText).join('')}${moreText(counts.forsaken - forsaken.length)}`,
    `\n${limits.map((sentence) => `- ${sentence}\n`).join('')}`,
  ].join('')
}

const headText = '  fails in   at                    workload\n'

function entryText(entry: BudgetEntry): string {
  const state = [entry.connected ? '' : 'not connected', entry.overdue ? 'overdue for renewal' : '']
    .filter((text) => text !== '')
    .join(', ')
  const at = entry.failsAt.replace(/\.\d+Z$/, 'Z')
  return `  ${leftText(entry).padEnd(9)}  ${at}  ${nameOf(entry)}${state === '' ? '' : ` (${state})`}\n`
}

function nameOf({ spiffeId, node }: BudgetEntry): string {
  return node === undefined ? spiffeId : `${spiffeId} on ${node}`
}

/** In whole seconds, which is what certificates are told in. */
function leftText({ leftMs }: BudgetEntry): string {
  return formatDuration(Math.floor(leftMs / 1000) * 1000)
}

function moreText(more: number): string {
  return more > 0 ? `  and ${more} more\n` : ''
}
