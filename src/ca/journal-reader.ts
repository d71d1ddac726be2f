import { concat } from '../bytes/bytes.ts'
import type { CryptoProvider, PublicKey } from '../crypto/provider.ts'
import {
  EMPTY_JOURNAL,
  isLineWithOtherEnd,
  type JournalDamage,
  type JournalLine,
  type JournalState,
  readJournalLine,
} from './journal-line.ts'

/** An entry holds one message and some names; the longest are of some kilobytes. */
const MAX_LINE_BYTES = 256 * 1024

const LINE_FEED = 0x0a

/** Where reading begins. */
export interface JournalPosition {
  readonly state: JournalState
  /** In bytes. */
  readonly offset: number
}

/** A journal from its beginning. */
export const JOURNAL_START: JournalPosition = { state: EMPTY_JOURNAL, offset: 0 }

/** A line that is as it was written. */
export type JournalGoodLine = Exclude<JournalLine, { readonly kind: 'damaged' }>

/** The first line that is not as it was written. Nothing after it can be vouched for. */
export interface DamagedJournal {
  readonly kind: 'damaged'
  readonly damage: JournalDamage
  /** Where the line begins. */
  readonly offset: number
}

/** A journal without damage. */
export interface IntactJournal {
  readonly kind: 'intact'
  /** Right after the last head: all before it is as it was written. */
  readonly signed: JournalPosition
  /** What follows the last head, as an append under way or a crash leaves it: nobody was told that it is recorded. */
  readonly tailBytes: number
}

export interface JournalReaderOptions {
  readonly crypto: CryptoProvider
  /** The journal's. */
  readonly key: PublicKey
  /** @default the beginning */
  readonly from?: JournalPosition
}

/** Reads the bytes of a journal, in pieces as they come, and verifies every line of it. */
export class JournalReader {
  readonly #options: JournalReaderOptions
  #position: JournalPosition
  #signed: JournalPosition
  #rest: Uint8Array = new Uint8Array()

  constructor(options: JournalReaderOptions) {
    this.#options = options
    this.#position = options.from ?? JOURNAL_START
    this.#signed = this.#position
  }

  /** The lines that end in this piece. The first damage is the last step. */
  *push(piece: Uint8Array): Generator<JournalGoodLine | DamagedJournal, void, undefined> {
    const bytes = this.#rest.length === 0 ? piece : concat(this.#rest, piece)
    let begin = 0
    for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, begin)) {
      const { state, offset } = this.#position
      const line = readJournalLine(state, bytes.subarray(begin, end), this.#options)
      if (line.kind === 'damaged') {
        yield { ...line, offset }
        return
      }
      begin = end + 1
      this.#position = { state: line.state, offset: offset + line.bytes + 1 }
      if (line.kind === 'head') this.#signed = this.#position
      yield line
    }
    this.#rest = bytes.slice(begin)
    if (this.#rest.length > MAX_LINE_BYTES) yield this.#endless()
  }

  /** When all has been pushed. */
  end(): IntactJournal | DamagedJournal {
    // A file system may have grown the file before a crash, and not have come to write what belongs there.
    if (isLineWithOtherEnd(withoutZeros(this.#rest))) return this.#endless()
    const { offset } = this.#position
    return {
      kind: 'intact',
      signed: this.#signed,
      tailBytes: offset + this.#rest.length - this.#signed.offset,
    }
  }

  #endless(): DamagedJournal {
    const { state, offset } = this.#position
    const problem = 'does not end where it should'
    return { kind: 'damaged', damage: { index: state.frontier.size, part: 'entry', problem }, offset }
  }
}

function withoutZeros(bytes: Uint8Array): Uint8Array {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return bytes.subarray(0, end)
}
