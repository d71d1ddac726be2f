import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import * as fc from 'fast-check'
import { journalFiles } from '../../src/ca/journal-files.ts'
import { decodeProof, encodeProof, type JournalProof, verifyProof } from '../../src/ca/journal-proof.ts'
import { proveConsistency, proveInclusion } from '../../src/ca/journal-query.ts'
import { openJournal } from '../../src/ca/open-journal.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { PublicKey } from '../../src/crypto/provider.ts'
import { readJournalPublicKey } from '../../src/ca/journal-key.ts'
import { readFile } from 'node:fs/promises'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const crypto = nativeCrypto()
const ENTRIES = 21

async function proofs(t: TestContext): Promise<{ key: PublicKey; all: readonly JournalProof[] }> {
  const directory = join(await temporaryDirectory(t), 'journal')
  const { log, publicKey } = journalFiles(directory)
  {
    await using journal = await openJournal(directory, {
      crypto,
      trustDomain: 'example.org',
      nowMs: () => 1_700_000_000_000,
    })
    const time = '2026-01-01T00:00:00.000Z'
    for (let n = 1; n < ENTRIES; n++)
      await journal.append({ kind: 'refused', time, code: 'CA_NO_EVIDENCE', reason: `Zürich ${n}` })
  }
  const key = readJournalPublicKey(publicKey, await readFile(publicKey, 'utf8'), crypto)
  const all: JournalProof[] = []
  for (let n = 0; n < ENTRIES; n++) {
    all.push(await proveInclusion(log, n, { crypto, key }))
    all.push(await proveConsistency(log, n + 1, { crypto, key }))
  }
  return { key, all }
}

test('verifyProof takes every proof of a journal, through its JSON, and refuses it for another key', async (t) => {
  const { key, all } = await proofs(t)
  const other = crypto.generateKey('ec-p256').publicKey
  for (const proof of all) {
    const read = decodeProof(encodeProof(proof))
    assert.deepEqual(read, proof)
    verifyProof(read, { crypto, key })
    assert.throws(() => verifyProof(read, { crypto, key: other }), { code: 'CA_JOURNAL_PROOF' })
  }
})

test('verifyProof refuses a proof of which any character was altered', async (t) => {
  const { key, all } = await proofs(t)
  fc.assert(
    fc.property(
      fc.constantFrom(...all),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.constantFrom(...Array.from('0123456789abcdefABC"{}[],:.Z é')),
      (proof, place, character) => {
        // Without the white space, in which alone nothing is said.
        const text = JSON.stringify(JSON.parse(encodeProof(proof)))
        const at = Math.floor(place * text.length)
        const altered = text.slice(0, at) + character + text.slice(at + 1)
        fc.pre(altered !== text && !isSame(altered, text))
        assert.throws(() => verifyProof(decodeProof(altered), { crypto, key }), { code: 'CA_JOURNAL_PROOF' })
      },
    ),
    { numRuns: 2_000 },
  )
})

/** Whether two texts say the same, or differ in what is no part of the claim. */
function isSame(altered: string, text: string): boolean {
  try {
    const claim = ({ kind, head, index, entry, older, path }: Record<string, unknown>) =>
      JSON.stringify([kind, head, index, entry, older, path])
    return (
      claim(JSON.parse(altered) as Record<string, unknown>) ===
      claim(JSON.parse(text) as Record<string, unknown>)
    )
  } catch {
    return false
  }
}
