/** Finding and proving entries of a journal file, which is verified on the way. */
import { CaError } from './errors.ts'
import { damageError } from './journal-damage.ts'
import type { JournalEntry } from './journal.ts'
import type { ConsistencyProof, InclusionProof } from './journal-proof.ts'
import type { JournalGoodLine, JournalReaderOptions } from './journal-reader.ts'
import { scanJournal } from './journal-scan.ts'
import { consistencyRanges, inclusionRanges, type LeafRange, SubtreeHasher } from './merkle-proof.ts'
import { rootOf } from './merkle-tree.ts'
import type { SignedTreeHead } from './tree-head.ts'

/** An entry as it stands in a journal. */
export interface FoundEntry {
  readonly index: number
  /** JSON. */
  readonly text: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** What an entry must be like to be found; what is left out does not matter. */
export interface JournalFilter {
  /** Hexadecimal, lower case, without leading zeros. */
  readonly serialNumber?: string
  readonly spiffeId?: string
  /** Not before. */
  readonly sinceMs?: number
  /** Before. */
  readonly untilMs?: number
  readonly kind?: JournalEntry['kind']
}

/**
 * The entries that a filter lets through, one after the other.
 *
 * @throws CaError CA_JOURNAL_DAMAGED at the first entry that is not as it was written, CA_STORE_IO
 */
export async function* findEntries(
  log: string,
  filter: JournalFilter,
  options: JournalReaderOptions,
): AsyncGenerator<FoundEntry, void, undefined> {
  for await (const step of scanJournal(log, options)) {
    if (step.kind === 'damaged') throw damageError(log, step)
    if (step.kind !== 'entry') continue
    const entry = readEntry(step)
    if (matches(entry, filter)) yield entry
  }
}

/**
 * Proves an entry to be under the newest head.
 *
 * @throws CaError CA_JOURNAL_NO_ENTRY, CA_JOURNAL_DAMAGED, CA_STORE_IO
 */
export async function proveInclusion(
  log: string,
  index: number,
  options: JournalReaderOptions,
): Promise<InclusionProof> {
  const head = await newestHead(log, options)
  if (index >= head.size)
    throw new CaError(
      'CA_JOURNAL_NO_ENTRY',
      `There is no entry ${index}: the journal has ${head.size}, from 0 on`,
    )
  let entry = ''
  const path = await hashSubtrees(inclusionRanges(index, head.size), {
    log,
    size: head.size,
    options,
    onEntry: (line) => {
      if (line.index === index) entry = new TextDecoder().decode(line.leaf)
    },
  })
  return { kind: 'inclusion', head, index, entry, path }
}

/** Proves that the newest head came out of an older size. @throws CaError as {@link proveInclusion} does */
export async function proveConsistency(
  log: string,
  olderSize: number,
  options: JournalReaderOptions,
): Promise<ConsistencyProof> {
  const head = await newestHead(log, options)
  if (olderSize < 1 || olderSize > head.size)
    throw new CaError(
      'CA_JOURNAL_NO_ENTRY',
      `The journal never had ${olderSize} entries: it has ${head.size}, and began with 1`,
    )
  let olderRoot: Uint8Array = head.root
  const path = await hashSubtrees(consistencyRanges(olderSize, head.size), {
    log,
    size: head.size,
    options,
    onEntry: ({ state }) => {
      if (state.frontier.size === olderSize) olderRoot = rootOf(state.frontier, options.crypto)
    },
  })
  return { kind: 'consistency', head, older: { size: olderSize, root: olderRoot }, path }
}

/** Of a journal that is as it was written to its end. */
async function newestHead(log: string, options: JournalReaderOptions): Promise<SignedTreeHead> {
  for await (const step of scanJournal(log, options)) {
    if (step.kind === 'damaged') throw damageError(log, step)
    if (step.kind === 'intact' && step.signed.state.head !== undefined) return step.signed.state.head
  }
  throw new CaError('CA_JOURNAL_NO_ENTRY', `The journal ${log} has no signed head`, { path: log })
}

type EntryLine = Extract<JournalGoodLine, { readonly kind: 'entry' }>

/** Reads a second time, up to where the first found the last head, since by then there may be more. */
async function hashSubtrees(
  ranges: readonly LeafRange[],
  {
    log,
    size,
    options,
    onEntry,
  }: {
    readonly log: string
    readonly size: number
    readonly options: JournalReaderOptions
    readonly onEntry: (line: EntryLine) => void
  },
): Promise<readonly Uint8Array[]> {
  const hasher = new SubtreeHasher(ranges, options.crypto)
  for await (const step of scanJournal(log, options)) {
    if (step.kind === 'damaged') throw damageError(log, step)
    if (step.kind !== 'entry') continue
    hasher.add(step.index, step.leafHash)
    onEntry(step)
    if (step.state.frontier.size === size) break
  }
  return hasher.path()
}

function readEntry({ index, leaf }: EntryLine): FoundEntry {
  const text = new TextDecoder().decode(leaf)
  return { index, text, fields: JSON.parse(text) as Readonly<Record<string, unknown>> }
}

function matches(
  { fields }: FoundEntry,
  { serialNumber, spiffeId, sinceMs, untilMs, kind }: JournalFilter,
): boolean {
  const timeMs = Date.parse(String(fields['time']))
  return (
    (kind === undefined || fields['kind'] === kind) &&
    (spiffeId === undefined || fields['spiffeId'] === spiffeId) &&
    (serialNumber === undefined || withoutZeros(fields['serialNumber']) === serialNumber) &&
    (sinceMs === undefined || timeMs >= sinceMs) &&
    (untilMs === undefined || timeMs < untilMs)
  )
}

function withoutZeros(serialNumber: unknown): string | undefined {
  return typeof serialNumber === 'string' ? serialNumber.replace(/^0+(?=.)/, '') : undefined
}
