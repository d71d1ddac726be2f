import assert from 'node:assert/strict'
import { appendFile, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { JournalFile } from '../../src/ca/journal-file.ts'
import type { JournalEntry } from '../../src/ca/journal.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

function refused(reason: string): JournalEntry {
  return { kind: 'refused', time: '2026-01-01T00:00:00.000Z', code: 'CA_TOKEN_UNKNOWN', reason }
}

async function lines(path: string): Promise<string[]> {
  return (await readFile(path, 'utf8')).split('\n').slice(0, -1)
}

test('JournalFile holds an entry on the disk, readable by the owner only, when append returns', async (t) => {
  const path = join(await temporaryDirectory(t), 'journal.jsonl')
  await using journal = await JournalFile.open(path)
  await journal.append(refused('a\nb'))
  assert.deepEqual(
    (await lines(path)).map((line) => JSON.parse(line) as unknown),
    [refused('a\nb')],
  )
  assert.equal((await stat(path)).mode & 0o777, 0o600)
})

test('JournalFile keeps many entries that come at once in order', async (t) => {
  const path = join(await temporaryDirectory(t), 'journal.jsonl')
  await using journal = await JournalFile.open(path)
  await Promise.all(Array.from({ length: 500 }, (_, i) => journal.append(refused(`${i}`))))
  const reasons = (await lines(path)).map((line) => (JSON.parse(line) as { reason: string }).reason)
  assert.deepEqual(
    reasons,
    Array.from({ length: 500 }, (_, i) => `${i}`),
  )
})

test('JournalFile refuses entries when too many wait for the disk', async (t) => {
  const path = join(await temporaryDirectory(t), 'journal.jsonl')
  await using journal = await JournalFile.open(path)
  const results = await Promise.allSettled(
    Array.from({ length: 3_000 }, (_, i) => journal.append(refused(`${i}`))),
  )
  const codes = new Set(
    results
      .filter(({ status }) => status === 'rejected')
      .map((r) => (r as { reason: { code: string } }).reason.code),
  )
  assert.deepEqual(codes, new Set(['CA_BUSY']))
  await journal.append(refused('after'))
  assert.ok((await lines(path)).at(-1)!.includes('after'), 'it goes on when the disk has caught up')
})

test('JournalFile goes on after a crash in the middle of a line and keeps what was there', async (t) => {
  const path = join(await temporaryDirectory(t), 'journal.jsonl')
  {
    await using journal = await JournalFile.open(path)
    await journal.append(refused('first'))
  }
  await appendFile(path, '{"kind":"iss')
  {
    await using journal = await JournalFile.open(path)
    await journal.append(refused('second'))
  }
  const [first, torn, second] = await lines(path)
  assert.ok(first!.includes('first'))
  assert.equal(torn, '{"kind":"iss')
  assert.ok(second!.includes('second'))
})

test('JournalFile refuses for good once the disk has failed', async (t) => {
  const path = join(await temporaryDirectory(t), 'journal.jsonl')
  const journal = await JournalFile.open(path)
  await journal[Symbol.asyncDispose]()
  const failed = { code: 'CA_STORE_IO' }
  await assert.rejects(journal.append(refused('lost')), failed)
  await assert.rejects(journal.append(refused('lost too')), failed)
})

test('JournalFile.open names the file it cannot open', async (t) => {
  const path = join(await temporaryDirectory(t), 'missing', 'journal.jsonl')
  await assert.rejects(JournalFile.open(path), (error: Error) => error.message.includes(path))
})
