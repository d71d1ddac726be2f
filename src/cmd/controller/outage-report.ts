import { readRecentJournal } from '../../ca/recent-journal.ts'
import { MAX_SVID_TTL_MS } from '../../config/controller-config.ts'
import {
  type BudgetEntry,
  type ConnectedProxy,
  outageBudget,
  type OutageBudget,
} from '../../control/outage-budget.ts'
import type { AdminHandler } from './admin-socket.ts'
import { journalLogs } from './replicas.ts'

/** How long a mesh lives without its certificate authority, as operators are told it. */
export interface OutageReport extends OutageBudget {
  /** Who says so: a controller that knows who is connected to it, or the journal alone. */
  readonly source: 'controller' | 'journal'
  /** How many there are of each, whatever was left out of the lists. */
  readonly counts: {
    readonly inUse: number
    readonly connected: number
    /** Of those in use. */
    readonly overdue: number
    readonly forsaken: number
  }
  /** What this cannot know, in sentences. */
  readonly limits: readonly string[]
}

export interface OutageReportOptions {
  /** The journals of all controllers of the trust domain. */
  readonly logs: readonly string[]
  /** Whoever is connected; undefined where no controller can say it. */
  readonly connected: readonly ConnectedProxy[] | undefined
  readonly nowMs: number
  /** Names so many of each list. */
  readonly limit: number
}

/** More names do not fit into an answer of the controller. */
export const MAX_OUTAGE_LIMIT = 300

/** Answers `handfast ca outage-budget`. @param connected whoever is connected to any of the controllers */
export function outageBudgetHandler(
  stateDir: string,
  connected: () => readonly ConnectedProxy[],
): AdminHandler {
  return async ({ limit }) =>
    reportOutage({
      logs: await journalLogs(stateDir),
      connected: connected(),
      nowMs: Date.now(),
      limit: Math.min(Number(limit), MAX_OUTAGE_LIMIT),
    })
}

/** @throws CaError CA_STORE_IO */
export async function reportOutage({
  logs,
  connected,
  nowMs,
  limit,
}: OutageReportOptions): Promise<OutageReport> {
  const journals = await Promise.all(logs.map((log) => readRecentJournal(log, nowMs - MAX_SVID_TTL_MS)))
  // Without a controller to ask, the last that it wrote is the last that is known of it.
  const aliveMs = Math.max(...journals.map(({ lastEntryMs }) => lastEntryMs ?? 0))
  const budget = outageBudget(journals, connected ?? [], {
    nowMs,
    ...(connected === undefined && { aliveMs }),
  })
  const { inUse, forsaken } = budget
  return {
    ...budget,
    source: connected === undefined ? 'journal' : 'controller',
    counts: {
      inUse: inUse.length,
      connected: count(inUse, ({ connected: is }) => is),
      overdue: count(inUse, ({ overdue }) => overdue),
      forsaken: forsaken.length,
    },
    inUse: inUse.slice(0, limit),
    forsaken: forsaken.slice(0, limit),
    limits: limitsOf(
      connected !== undefined,
      journals.reduce((sum, { unreadable }) => sum + unreadable, 0),
    ),
  }
}

function limitsOf(asked: boolean, unreadable: number): readonly string[] {
  return [
    'Workloads that start or restart while the controller is down get no certificate, whatever is left to the others.',
    ...(asked
      ? [
          'Whether a workload that is not connected still runs is not known: its certificate counts until it should have been renewed.',
        ]
      : [
          'Which workloads still run is not known: every certificate counts that the journal has and nobody has renewed.',
          'The journal was read without verification: handfast ca journal verify does that.',
        ]),
    ...(unreadable > 0 ? [`${unreadable} lines of the journal are not readable and do not count.`] : []),
  ]
}

function count(entries: readonly BudgetEntry[], holds: (entry: BudgetEntry) => boolean): number {
  return entries.filter(holds).length
}
