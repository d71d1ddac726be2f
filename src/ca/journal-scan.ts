import { createReadStream } from 'node:fs'
import { messageOf } from '../errors.ts'
import { CaError } from './errors.ts'
import {
  type DamagedJournal,
  type IntactJournal,
  type JournalGoodLine,
  JournalReader,
  type JournalReaderOptions,
} from './journal-reader.ts'

/** The lines of a journal file that are as they were written, and at last what is to be said of the whole. */
export type JournalStep = JournalGoodLine | DamagedJournal | IntactJournal

/** Reads pieces of this size: a thousand entries and more. */
const PIECE_BYTES = 1024 * 1024

/**
 * Reads a journal file and verifies it. The last step is `intact` or `damaged`.
 *
 * @throws CaError CA_STORE_IO
 */
export async function* scanJournal(
  log: string,
  options: JournalReaderOptions,
): AsyncGenerator<JournalStep, void, undefined> {
  const reader = new JournalReader(options)
  for await (const piece of piecesOf(log, options.from?.offset ?? 0)) {
    for (const step of reader.push(piece)) {
      yield step
      if (step.kind === 'damaged') return
    }
  }
  yield reader.end()
}

async function* piecesOf(log: string, start: number): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const piece of createReadStream(log, { start, highWaterMark: PIECE_BYTES }))
      yield piece as Uint8Array
  } catch (error) {
    throw new CaError('CA_STORE_IO', `Cannot read the journal ${log}: ${messageOf(error)}`, {
      path: log,
      cause: error,
    })
  }
}
