import assert from 'node:assert/strict'
import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { journalFiles } from '../../src/ca/journal-files.ts'
import { openJournal } from '../../src/ca/open-journal.ts'
import { readRecentJournal } from '../../src/ca/recent-journal.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const START_MS = Date.UTC(2026, 0, 1)
const HOUR_MS = 3_600_000

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}

function line(index: number, padding = 0): string {
  const entry = {
    index,
    kind: 'issued',
    time: timeOf(START_MS + index * 1000),
    spiffeId: `spiffe://example.org/w${index}`,
    proof: 'peer-svid',
    serialNumber: index.toString(16),
    notAfter: timeOf(START_MS + index * 1000 + HOUR_MS),
    padding: 'é'.repeat(padding),
  }
  return `${JSON.stringify(entry)}\n`
}

test('readRecentJournal gives what was issued since, newest first, out of the journal as it is written', async (t) => {
  const directory = join(await temporaryDirectory(t), 'journal')
  let nowMs = START_MS
  const options = { crypto: nativeCrypto(), trustDomain: 'example.org', nowMs: () => nowMs }
  await using journal = await openJournal(directory, options)
  const issue = (serialNumber: string, renews?: string): Promise<void> =>
    journal.append({
      kind: 'issued',
      time: timeOf((nowMs += 1000)),
      spiffeId: 'spiffe://example.org/w',
      proof: 'peer-svid',
      serialNumber,
      ...(renews !== undefined && { renews }),
      notAfter: timeOf(nowMs + HOUR_MS),
      certificateSha256: '00',
      publicKeySha256: '00',
    })
  for (const serial of ['1', '2', '3']) await issue(serial)
  await issue('4', '3')
  await journal.append({ kind: 'refused', time: timeOf((nowMs += 1000)), code: 'CA_BUSY', reason: 'busy' })
  const { log } = journalFiles(directory)
  const recent = await readRecentJournal(log, START_MS + 2000)
  assert.deepEqual(
    recent.issued.map(({ serialNumber, renews }) => [serialNumber, renews]),
    [
      ['4', '3'],
      ['3', undefined],
      ['2', undefined],
    ],
  )
  assert.deepEqual(recent.issued[0], {
    spiffeId: 'spiffe://example.org/w',
    proof: 'peer-svid',
    serialNumber: '4',
    renews: '3',
    certificateSha256: '00',
    issuedAtMs: START_MS + 4000,
    expiresAtMs: START_MS + 4000 + HOUR_MS,
  })
  assert.equal(recent.lastEntryMs, nowMs)
  assert.equal(recent.unreadable, 0)
})

test('readRecentJournal reads a long journal in pieces, and cuts no line at their borders', async (t) => {
  const log = join(await temporaryDirectory(t), 'log.jsonl')
  const lines = Array.from({ length: 3_000 }, (_, index) => line(index, 200 + (index % 97)))
  assert.ok(Buffer.byteLength(lines.join('')) > 1.5 * 1024 * 1024)
  await writeFile(log, lines.join(''))
  const { issued, unreadable } = await readRecentJournal(log, 0)
  assert.deepEqual(
    issued.map(({ serialNumber }) => Number.parseInt(serialNumber, 16)),
    Array.from({ length: 3_000 }, (_, index) => 2_999 - index),
  )
  assert.equal(unreadable, 0)
  assert.equal((await readRecentJournal(log, START_MS + 2_990_000)).issued.length, 10)
})

test('readRecentJournal leaves out what is being written, and counts what it cannot read', async (t) => {
  const log = join(await temporaryDirectory(t), 'log.jsonl')
  await writeFile(log, `${line(1)}{"index":2,"kind":"issu\n${line(3)}`)
  await appendFile(log, line(4).slice(0, 30))
  const { issued, unreadable } = await readRecentJournal(log, 0)
  assert.deepEqual(
    issued.map(({ serialNumber }) => serialNumber),
    ['3', '1'],
  )
  assert.equal(unreadable, 1)
  await writeFile(log, '')
  assert.deepEqual(await readRecentJournal(log, 0), { issued: [], lastEntryMs: undefined, unreadable: 0 })
  await assert.rejects(readRecentJournal(`${log}.none`, 0), { code: 'CA_STORE_IO' })
})
