import type { PublishedFollower } from '../ca/fleet-store.ts'
import type { RecentJournal, RecordedCertificate } from '../ca/recent-journal.ts'
import { overdueFromMs } from './renewal-time.ts'

/** A certificate that somebody lives by, or may live by. */
export interface BudgetEntry {
  readonly spiffeId: string
  /** What the process calls itself that has it; absent when none is connected with it. */
  readonly node?: string
  /** Hexadecimal. */
  readonly serialNumber: string
  /** When whoever has it fails if it is not renewed; RFC 3339, UTC. */
  readonly failsAt: string
  /** From now until then. */
  readonly leftMs: number
  /** Whether a proxy is connected to the controller with it. */
  readonly connected: boolean
  /** Whether it should have been renewed by now, while the controller could have done it. */
  readonly overdue: boolean
}

/** How long a mesh lives without its certificate authority. */
export interface OutageBudget {
  /** The moment from which it is counted; RFC 3339, UTC. */
  readonly at: string
  /** Whoever fails first; absent when nobody has a certificate. */
  readonly first?: BudgetEntry
  /** All that are in use as far as one can know, in the order in which they fail. */
  readonly inUse: readonly BudgetEntry[]
  /**
   * Those that nobody is connected with and nobody has renewed although it was time: their workloads have stopped, or
   * cannot reach the controller. An outage changes nothing for them.
   */
  readonly forsaken: readonly BudgetEntry[]
}

/** A proxy that is connected to one of the controllers. */
export type ConnectedProxy = Pick<PublishedFollower, 'spiffeId' | 'node' | 'serialNumber' | 'expiresAtMs'>

export interface OutageBudgetOptions {
  readonly nowMs: number
  /** When the authority was known to work: silence since then is not its clients' fault. @default now */
  readonly aliveMs?: number | undefined
}

/** What a controller issues to itself is renewed without asking anybody. */
const OWN_PROOF = 'controller'

/**
 * Which workload fails first, and when, if from now on nothing is issued any more. A workload fails at the end of its
 * certificate; which certificates are in use is known of connected proxies, and concluded of others from what was issued
 * and not renewed since.
 *
 * @param journals of all controllers of the trust domain, back to when the oldest certificate that is still valid was issued
 * @param connected whoever is connected to a controller; none where that cannot be known
 */
export function outageBudget(
  journals: readonly RecentJournal[],
  connected: readonly ConnectedProxy[],
  { nowMs, aliveMs = nowMs }: OutageBudgetOptions,
): OutageBudget {
  const issued = journals.flatMap((journal) => journal.issued).filter(({ proof }) => proof !== OWN_PROOF)
  const renewed = renewedSerials(issued)
  const issuedAtMs = new Map(issued.map(({ serialNumber, issuedAtMs: ms }) => [serialNumber, ms]))
  const shown = new Set(connected.map(({ serialNumber }) => serialNumber))

  const entries = [
    ...connected.map((proxy) => entryOf(proxy, issuedAtMs.get(proxy.serialNumber))),
    ...issued
      .filter(({ serialNumber }) => !renewed.has(serialNumber) && !shown.has(serialNumber))
      .map((certificate) => entryOf(certificate, certificate.issuedAtMs)),
  ].filter(({ leftMs }) => leftMs > 0)
  const sooner = (a: BudgetEntry, b: BudgetEntry): number =>
    a.leftMs - b.leftMs || a.spiffeId.localeCompare(b.spiffeId)
  const inUse = entries.filter(({ connected: is, overdue }) => is || !overdue).sort(sooner)
  const forsaken = entries.filter(({ connected: is, overdue }) => !is && overdue).sort(sooner)
  const [first] = inUse
  return { at: new Date(nowMs).toISOString(), ...(first !== undefined && { first }), inUse, forsaken }

  function entryOf(
    {
      spiffeId,
      node,
      serialNumber,
      expiresAtMs,
    }: Pick<RecordedCertificate, 'spiffeId' | 'serialNumber' | 'expiresAtMs'> & { readonly node?: string },
    begunMs: number | undefined,
  ): BudgetEntry {
    return {
      spiffeId,
      ...(node !== undefined && { node }),
      serialNumber,
      failsAt: new Date(expiresAtMs).toISOString(),
      leftMs: expiresAtMs - nowMs,
      connected: node !== undefined,
      overdue: begunMs !== undefined && aliveMs > overdueFromMs({ issuedAtMs: begunMs, expiresAtMs }),
    }
  }
}

/** The certificates in whose place there are others. */
function renewedSerials(issued: readonly RecordedCertificate[]): ReadonlySet<string> {
  const predecessors = new Map<string, string>()
  for (const { serialNumber, renews } of issued)
    if (renews !== undefined) predecessors.set(serialNumber, renews)
  const renewed = new Set(predecessors.values())
  /** The newest that each proxy's workload was given, by the proxy's first certificate. */
  const newest = new Map<string, RecordedCertificate>()
  for (const certificate of issued) {
    if (certificate.beside === undefined) continue
    const proxy = firstOf(certificate.beside, predecessors)
    const other = newest.get(proxy)
    const [older, newer] =
      other === undefined || other.issuedAtMs < certificate.issuedAtMs
        ? [other, certificate]
        : [certificate, other]
    if (older !== undefined) renewed.add(older.serialNumber)
    newest.set(proxy, newer)
  }
  return renewed
}

/** The oldest certificate that one goes back to, as far as the journal was read. */
function firstOf(serialNumber: string, predecessors: ReadonlyMap<string, string>): string {
  let first = serialNumber
  // As many steps as there can be, whatever a damaged journal says.
  for (let steps = predecessors.size; steps > 0; steps--) {
    const before = predecessors.get(first)
    if (before === undefined) break
    first = before
  }
  return first
}
