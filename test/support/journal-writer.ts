/** A process that writes journal entries until it is killed, and says which of them it has been told to be recorded. */
import { openJournal } from '../../src/ca/open-journal.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'

const [directory, prefix] = process.argv.slice(2) as [string, string]
const journal = await openJournal(directory, {
  crypto: nativeCrypto(),
  trustDomain: 'example.org',
  nowMs: Date.now,
})

/** Several of them at once share flushes and heads. */
await Promise.all([0, 1, 2, 3, 4].map(writeOn))

async function writeOn(writer: number): Promise<never> {
  for (let n = 0; ; n++) {
    const reason = `${prefix}-${writer}-${n}`
    const time = new Date().toISOString()
    await journal.append({ kind: 'refused', time, code: 'CA_NO_EVIDENCE', reason: reason.padEnd(200, '.') })
    process.stdout.write(`${reason}\n`)
  }
}
