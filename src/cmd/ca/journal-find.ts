import { findEntries, type FoundEntry, type JournalFilter } from '../../ca/journal-query.ts'
import type { JournalEntry } from '../../ca/journal.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { UsageError } from '../errors.ts'
import { parseFlags, quoted } from '../flags.ts'
import { JOURNAL_OPTIONS, JOURNAL_OPTIONS_HELP, journalSources } from './journal-source.ts'
import { parseSerial } from './serial-flag.ts'

const OUTCOMES: readonly JournalEntry['kind'][] = [
  'issued',
  'issued-jwt',
  'refused',
  'revoked',
  'unrevoked',
  'alarm',
]

/** `handfast ca journal find` */
export const caJournalFind: Command = {
  summary: 'Find who was issued what, or refused and why',
  usage: `Usage: handfast ca journal find --journal PATH [--key FILE] [WHAT TO FIND] [--json]

Prints the entries of a journal for which all of this holds, and verifies the journal on the way: it fails at the first
entry that is damaged.

  --serial HEX         the serial number of a certificate
  --spiffe-id ID       whom it concerns
  --since TIME         not before this time, such as 2026-06-01 or 2026-06-01T12:00:00Z
  --until TIME         before this time
  --outcome OUTCOME    ${OUTCOMES.join(', ')}
${JOURNAL_OPTIONS_HELP}  --json               print each entry as one line of JSON
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: {
        ...JOURNAL_OPTIONS,
        serial: { type: 'string' },
        'spiffe-id': { type: 'string' },
        since: { type: 'string' },
        until: { type: 'string' },
        outcome: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    const { serial, since, until, outcome } = values
    const filter: JournalFilter = {
      ...(serial !== undefined && { serialNumber: parseSerial(serial) }),
      ...(values['spiffe-id'] !== undefined && { spiffeId: values['spiffe-id'] }),
      ...(since !== undefined && { sinceMs: parseTimeMs('--since', since) }),
      ...(until !== undefined && { untilMs: parseTimeMs('--until', until) }),
      ...(outcome !== undefined && { kind: parseOutcome(outcome) }),
    }
    const sources = await journalSources(values)
    let found = 0
    for await (const entry of inOrder(sources.map(({ log, options }) => findEntries(log, filter, options)))) {
      found++
      io.stdout.write(`${values.json ? entry.text : entryText(entry)}\n`)
    }
    if (!values.json) io.stderr.write(`${found} ${found === 1 ? 'entry' : 'entries'}\n`)
    return ExitCode.success
  },
}

/** The entries of all controllers by their time, each journal in its own order. */
async function* inOrder(
  journals: readonly AsyncGenerator<FoundEntry, void, undefined>[],
): AsyncGenerator<FoundEntry, void, undefined> {
  const firsts = await Promise.all(journals.map(async (entries) => ({ entries, next: await entries.next() })))
  for (;;) {
    let first: (typeof firsts)[number] | undefined
    for (const candidate of firsts)
      if (
        candidate.next.done !== true &&
        (first === undefined || timeOf(candidate.next) < timeOf(first.next))
      )
        first = candidate
    if (first?.next.done !== false) return
    yield first.next.value
    first.next = await first.entries.next()
  }
}

/** RFC 3339 in UTC is in the order of its text. */
function timeOf({ value }: IteratorResult<FoundEntry, void>): string {
  return String(value?.fields['time'])
}

function parseTimeMs(flag: string, text: string): number {
  const timeMs = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  if (!Number.isNaN(timeMs)) return timeMs
  throw new UsageError(
    `${flag}: expected a time such as 2026-06-01 or 2026-06-01T12:00:00Z, got ${quoted(text)}`,
  )
}

function parseOutcome(text: string): JournalEntry['kind'] {
  const outcome = OUTCOMES.find((name) => name === text)
  if (outcome !== undefined) return outcome
  throw new UsageError(`--outcome: expected one of ${OUTCOMES.join(', ')}, got ${quoted(text)}`)
}

function entryText({ index, fields }: FoundEntry): string {
  const { time, kind, spiffeId = '-', ...rest } = fields
  const details = Object.entries(rest)
    .filter(([name]) => name !== 'index')
    .map(
      ([name, value]) =>
        `${name}=${typeof value === 'string' && /^[!#-~]+$/.test(value) ? value : JSON.stringify(value)}`,
    )
  return [index, time, kind, spiffeId, ...details].map(String).join('  ')
}
