import { SECRET_FILE_MODE, writeDurably } from '../../ca/durable-file.ts'
import { CaError } from '../../ca/errors.ts'
import { encodeProof, type JournalProof } from '../../ca/journal-proof.ts'
import { findEntries, proveConsistency, proveInclusion } from '../../ca/journal-query.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { UsageError } from '../errors.ts'
import { parseCount, parseFlags } from '../flags.ts'
import {
  JOURNAL_OPTIONS,
  JOURNAL_OPTIONS_HELP,
  type JournalSource,
  journalSources,
} from './journal-source.ts'
import { parseSerial } from './serial-flag.ts'

/** `handfast ca journal prove` */
export const caJournalProve: Command = {
  summary: 'Prove that an entry is in the journal, or that the journal only grew',
  usage: `Usage: handfast ca journal prove --journal PATH (--index N | --serial HEX | --consistency SIZE) [--output FILE]

Writes a proof as JSON, which whoever has the journal's public key can verify without the journal:
handfast ca journal verify --proof FILE --key FILE. The hashes are those of RFC 9162.

  --index N            that this entry is in the journal; the first is 0
  --serial HEX         that the certificate with this serial number is
  --consistency SIZE   that the journal still begins with its first SIZE entries
  --output FILE        write the proof to FILE instead of printing it
${JOURNAL_OPTIONS_HELP}`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: {
        ...JOURNAL_OPTIONS,
        index: { type: 'string' },
        serial: { type: 'string' },
        consistency: { type: 'string' },
        output: { type: 'string' },
      },
    })
    const { index, serial, consistency, output } = values
    if ([index, serial, consistency].filter((value) => value !== undefined).length !== 1)
      throw new UsageError('Expected one of --index, --serial and --consistency')
    const proof = await prove(await journalSources(values), { index, serial, consistency })
    if (output === undefined) io.stdout.write(encodeProof(proof))
    else await writeDurably(output, encodeProof(proof), { mode: SECRET_FILE_MODE })
    return ExitCode.success
  },
}

async function prove(
  sources: readonly JournalSource[],
  {
    index,
    serial,
    consistency,
  }: {
    readonly index: string | undefined
    readonly serial: string | undefined
    readonly consistency: string | undefined
  },
): Promise<JournalProof> {
  if (serial !== undefined) return proveIssued(sources, parseSerial(serial))
  const [source, ...others] = sources
  if (others.length > 0)
    throw new UsageError(
      `--journal: expected one of the journals that there are, got ${sources.length}: ${sources.map(({ log }) => log).join(', ')}`,
    )
  const { log, options } = source!
  return consistency === undefined
    ? proveInclusion(log, parseCount('--index', index!, Number.MAX_SAFE_INTEGER), options)
    : proveConsistency(log, parseCount('--consistency', consistency, Number.MAX_SAFE_INTEGER), options)
}

/** In whichever journal it is: serial numbers are drawn at random, and no two are the same. */
async function proveIssued(sources: readonly JournalSource[], serialNumber: string): Promise<JournalProof> {
  for (const { log, options } of sources)
    for await (const entry of findEntries(log, { serialNumber, kind: 'issued' }, options))
      return proveInclusion(log, entry.index, options)
  throw new CaError('CA_JOURNAL_NO_ENTRY', `No certificate with the serial number ${serialNumber} was issued`)
}
