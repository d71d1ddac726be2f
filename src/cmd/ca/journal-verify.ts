import { equalBytes } from '../../bytes/bytes.ts'
import { damageError } from '../../ca/journal-damage.ts'
import { CaError } from '../../ca/errors.ts'
import { journalKeySha256 } from '../../ca/journal-key.ts'
import { decodeProof, type JournalProof, verifyProof } from '../../ca/journal-proof.ts'
import { scanJournal } from '../../ca/journal-scan.ts'
import { rootOf } from '../../ca/merkle-tree.ts'
import { readTreeHead, type SignedTreeHead, treeHeadText, verifyTreeHead } from '../../ca/tree-head.ts'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { UsageError } from '../errors.ts'
import { parseContents, readOperatorFile } from '../files.ts'
import { parseFlags, required } from '../flags.ts'
import {
  JOURNAL_OPTIONS,
  JOURNAL_OPTIONS_HELP,
  journalKey,
  type JournalSource,
  journalSources,
} from './journal-source.ts'

/** `handfast ca journal verify` */
export const caJournalVerify: Command = {
  summary: 'Find out whether the record of what was issued is as it was written',
  usage: `Usage: handfast ca journal verify --journal PATH [--key FILE] [--head FILE] [--json]
       handfast ca journal verify --proof FILE --key FILE [--json]

Reads a whole journal: every entry is chained to all before it, and signed heads vouch for them. Says the first entry
that is damaged, if one is. It needs no controller, and the controller may be writing meanwhile.

What lies on one disk can be cut short by who rules that disk. So keep a head elsewhere, the output of --json or a line
"Journal head" of the controller's log, and give it to --head: the journal must still begin with what it was then.

${JOURNAL_OPTIONS_HELP}  --head FILE          a head of this journal that was kept, as JSON
  --proof FILE         verify what handfast ca journal prove has written, with nothing but the public key
  --json               print the result as JSON
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: {
        ...JOURNAL_OPTIONS,
        head: { type: 'string' },
        proof: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    if (values.proof !== undefined) {
      if (values.journal !== undefined || values.head !== undefined)
        throw new UsageError(
          '--proof: expected no --journal and no --head beside it, since a proof needs neither',
        )
      const key = await journalKey(required('--key', values.key, "the journal's public key"))
      return verifyProofFile(values.proof, { key, json: values.json, io })
    }
    const sources = await journalSources(values)
    const kept = values.head === undefined ? undefined : await readKeptHead(values.head, sources)
    for (const source of sources) {
      if (sources.length > 1 && !values.json) io.stdout.write(`${source.log}\n`)
      const head = kept?.source === source ? kept.head : undefined
      await verifyJournal(source, { kept: head, json: values.json, io })
    }
    return ExitCode.success
  },
}

async function verifyJournal(
  { log, options }: JournalSource,
  {
    kept,
    json,
    io,
  }: { readonly kept: SignedTreeHead | undefined; readonly json: boolean; readonly io: CommandIo },
): Promise<void> {
  const { crypto, key } = options
  let entries = 0
  for await (const step of scanJournal(log, options)) {
    switch (step.kind) {
      case 'entry':
        entries++
        if (kept?.size === entries && !equalBytes(rootOf(step.state.frontier, crypto), kept.root))
          throw new CaError(
            'CA_JOURNAL_DAMAGED',
            `The journal ${log} is consistent in itself, but its first ${entries} entries are not those of the head that was kept: it was written anew`,
          )
        break
      case 'head':
        break
      case 'damaged':
        if (json) print(io, { intact: false, log, damage: { ...step.damage, offset: step.offset } })
        throw damageError(log, step)
      case 'intact': {
        const { head } = step.signed.state
        if (head === undefined)
          throw new CaError('CA_JOURNAL_DAMAGED', `The journal ${log} has no signed head`, { path: log })
        if (kept !== undefined && kept.size > head.size)
          throw new CaError(
            'CA_JOURNAL_DAMAGED',
            `The journal ${log} has ${head.size} entries, and the head that was kept is of ${kept.size}: it was cut short`,
          )
        const text = treeHeadText(head)
        const keySha256 = journalKeySha256(key, crypto)
        if (json) print(io, { intact: true, log, head: text, keySha256, tailBytes: step.tailBytes })
        else
          io.stdout.write(
            `Intact: ${head.size} entries, the newest head signed at ${text.time} by the key ${keySha256}\nRoot: ${text.root}\n`,
          )
        if (step.tailBytes > 0)
          io.stderr.write(
            `${step.tailBytes} bytes after the newest head are not part of it yet, as an append under way or a crash leaves them\n`,
          )
      }
    }
  }
}

/** A head that was kept, and which of the journals it is of. */
interface KeptHead {
  readonly head: SignedTreeHead
  readonly source: JournalSource
}

async function readKeptHead(path: string, sources: readonly JournalSource[]): Promise<KeptHead> {
  const file = { path, field: '--head' }
  const text = await readOperatorFile(file)
  const head = parseContents(file, 'a signed head', () => {
    const value = Object(JSON.parse(text)) as Readonly<Record<string, unknown>>
    // The report of an earlier verification, a proof, a line of the log, or the head alone.
    const found = readTreeHead('head' in value ? value['head'] : value)
    if (found === undefined) throw new RangeError('no size, time, root and signature')
    return found
  })
  const source = sources.find(({ options: { key } }) => verifyTreeHead(head, key))
  if (source === undefined)
    throw new CaError('CA_JOURNAL_PROOF', `The head in ${path} is not signed by the journal's key`, { path })
  return { head, source }
}

async function verifyProofFile(
  path: string,
  {
    key,
    json,
    io,
  }: { readonly key: Parameters<typeof verifyTreeHead>[1]; readonly json: boolean; readonly io: CommandIo },
): Promise<number> {
  const crypto = nativeCrypto()
  const proof = decodeProof(await readOperatorFile({ path, field: '--proof' }))
  verifyProof(proof, { crypto, key })
  if (json) print(io, { holds: true, kind: proof.kind, head: treeHeadText(proof.head) })
  else io.stdout.write(`${proofText(proof)}\n`)
  return ExitCode.success
}

function proofText(proof: JournalProof): string {
  const { size, time } = treeHeadText(proof.head)
  return proof.kind === 'inclusion'
    ? `Holds: of the ${size} entries signed at ${time}, number ${proof.index} is\n${proof.entry}`
    : `Holds: the ${size} entries signed at ${time} begin with the ${proof.older.size} whose root is\n${proof.older.root.toHex()}`
}

function print(io: CommandIo, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}
