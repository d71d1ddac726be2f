import { CaError } from './errors.ts'
import type { DamagedJournal } from './journal-reader.ts'

/** That a journal cannot be relied on from its first damage on. */
export function damageError(log: string, { damage, offset }: DamagedJournal, remedy?: string): CaError {
  const { part, index, problem } = damage
  const what = part === 'entry' ? `entry ${index}` : `the signed head after ${index} entries`
  const text = `The journal ${log} is damaged at byte ${offset}: ${what} ${problem}`
  return new CaError('CA_JOURNAL_DAMAGED', remedy === undefined ? text : `${text}; ${remedy}`, { path: log })
}
