import assert from 'node:assert/strict'
import { appendFile, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { JournalFile } from '../../src/ca/journal-file.ts'
import { journalFiles } from '../../src/ca/journal-files.ts'
import type { JournalEntry } from '../../src/ca/journal.ts'
import { openJournal } from '../../src/ca/open-journal.ts'
import { readAll } from '../support/journals.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'

const crypto = nativeCrypto()
const NOW_MS = Date.UTC(2026, 0, 1)
const options = { crypto, trustDomain: 'example.org', nowMs: () => NOW_MS }

function refused(reason: string): JournalEntry {
  return { kind: 'refused', time: '2026-01-01T00:00:00.000Z', code: 'CA_TOKEN_UNKNOWN', reason }
}

async function journalDirectory(t: TestContext): Promise<string> {
  return join(await temporaryDirectory(t), 'journal')
}

/** The reasons of the refusals, and the kinds of the other entries. */
async function contents(directory: string): Promise<unknown[]> {
  const { entries } = await readAll(directory)
  return entries.map((entry) => entry['reason'] ?? entry['kind'])
}

test('JournalFile.append returns when entry and signed head are on the disk, for the owner only', async (t) => {
  const directory = await journalDirectory(t)
  await using journal = await openJournal(directory, options)
  await journal.append(refused('a\nb'))
  const { entries, end } = await readAll(directory)
  assert.deepEqual(entries[1], { index: 1, ...refused('a\nb') })
  assert.ok(end.kind === 'intact')
  assert.deepEqual([end.signed.state.head?.size, end.tailBytes], [2, 0])
  assert.deepEqual(journal.head, end.signed.state.head)
  const { log, key, publicKey } = journalFiles(directory)
  assert.deepEqual(
    await Promise.all([directory, log, key, publicKey].map(async (path) => (await stat(path)).mode & 0o777)),
    [0o700, 0o600, 0o600, 0o644],
  )
})

test('JournalFile.append keeps many entries that come at once in order, under few heads', async (t) => {
  const directory = await journalDirectory(t)
  await using journal = await openJournal(directory, options)
  await Promise.all(Array.from({ length: 500 }, (_, i) => journal.append(refused(`${i}`))))
  const { heads } = await readAll(directory)
  assert.deepEqual(await contents(directory), ['begun', ...Array.from({ length: 500 }, (_, i) => `${i}`)])
  assert.equal(heads.at(-1)?.size, 501)
  assert.ok(heads.length <= 4, `${heads.length} heads`)
})

test('JournalFile.append refuses entries when too many wait for the disk, and goes on when it has caught up', async (t) => {
  const directory = await journalDirectory(t)
  await using journal = await openJournal(directory, options)
  const results = await Promise.allSettled(
    Array.from({ length: 3_000 }, (_, i) => journal.append(refused(`${i}`))),
  )
  const codes = results.flatMap((result) =>
    result.status === 'rejected' ? [(result.reason as { code: string }).code] : [],
  )
  assert.deepEqual(new Set(codes), new Set(['CA_BUSY']))
  await journal.append(refused('after'))
  assert.deepEqual(
    [(await contents(directory)).length, (await contents(directory)).at(-1)],
    [3_000 - codes.length + 2, 'after'],
  )
})

test('JournalFile.append refuses for good once the disk has failed', async (t) => {
  const directory = await journalDirectory(t)
  const journal = await openJournal(directory, options)
  await journal[Symbol.asyncDispose]()
  const failed = { code: 'CA_STORE_IO' }
  await assert.rejects(journal.append(refused('lost')), failed)
  await assert.rejects(journal.append(refused('lost too')), failed)
})

test('openJournal goes on after a crash in the middle of an append, keeps all that was acknowledged and notes the rest', async (t) => {
  const directory = await journalDirectory(t)
  const { log } = journalFiles(directory)
  {
    await using journal = await openJournal(directory, options)
    await journal.append(refused('first'))
  }
  const acknowledged = await readFile(log)
  {
    await using journal = await openJournal(directory, options)
    await Promise.all([journal.append(refused('second')), journal.append(refused('third'))])
  }
  const whole = await readFile(log)
  // A prime, so that every part of a line is met.
  for (let bytes = acknowledged.length; bytes < whole.length; bytes += 13) {
    await writeFile(log, whole.subarray(0, bytes))
    await using journal = await openJournal(directory, options)
    await journal.append(refused('fourth'))
    const torn = bytes === acknowledged.length ? [] : ['recovered']
    // Its own head makes the second entry acknowledged, as soon as that is whole.
    const [begun, first, ...rest] = await contents(directory)
    assert.deepEqual([begun, first], ['begun', 'first'])
    if (rest[0] === 'second') assert.ok(isAfterFirstHead(whole.subarray(acknowledged.length, bytes)))
    else assert.deepEqual(rest, [...torn, 'fourth'])
    assert.ok(!rest.includes('third'))
  }
})

/** Whether a part of an append has a head that is whole. */
function isAfterFirstHead(part: Uint8Array): boolean {
  return /\{"head":[^\n]*\n/.test(new TextDecoder().decode(part))
}

test('openJournal cuts off what was grown but never written', async (t) => {
  const directory = await journalDirectory(t)
  const { log } = journalFiles(directory)
  await (await openJournal(directory, options))[Symbol.asyncDispose]()
  const before = await readFile(log)
  await appendFile(log, new Uint8Array(5_000))
  await (await openJournal(directory, options))[Symbol.asyncDispose]()
  const { entries } = await readAll(directory)
  assert.deepEqual(entries.at(-1), {
    index: 1,
    kind: 'recovered',
    time: new Date(NOW_MS).toISOString(),
    bytes: 5_000,
    sha256: crypto.digest('sha256', new Uint8Array(5_000)).toHex(),
  })
  assert.deepEqual((await readFile(log)).subarray(0, before.length), before)
})

test('openJournal refuses a journal that was altered, names the entry, and leaves it as it is', async (t) => {
  const directory = await journalDirectory(t)
  const { log, checkpoint } = journalFiles(directory)
  {
    await using journal = await openJournal(directory, options)
    for (const reason of ['one', 'two', 'three']) await journal.append(refused(reason))
  }
  const altered = (await readFile(log, 'utf8')).replace('"two"', '"TWO"')
  await writeFile(log, altered)
  await rm(checkpoint)
  await assert.rejects(openJournal(directory, options), {
    code: 'CA_JOURNAL_DAMAGED',
    message: /entry 2 does not match its hash/,
  })
  assert.equal(await readFile(log, 'utf8'), altered)
})

test('openJournal refuses a journal whose last line was changed, rather than to take it for torn', async (t) => {
  const directory = await journalDirectory(t)
  const { log, checkpoint } = journalFiles(directory)
  await (await openJournal(directory, options))[Symbol.asyncDispose]()
  const { size } = await stat(log)
  await rm(checkpoint)
  await truncate(log, size - 1)
  await appendFile(log, '\v')
  await assert.rejects(openJournal(directory, options), { code: 'CA_JOURNAL_DAMAGED' })
})

test('openJournal reads on from its checkpoint only if that is of this very log', async (t) => {
  const directory = await journalDirectory(t)
  const { log, checkpoint } = journalFiles(directory)
  {
    await using journal = await openJournal(directory, options)
    for (const reason of ['one', 'two', 'three']) await journal.append(refused(reason))
  }
  const altered = (await readFile(log, 'utf8')).replace('"two"', '"TWO"')
  await writeFile(log, altered)
  const saved = await readFile(checkpoint, 'utf8')
  // What lies before the checkpoint is not read again: it is for `handfast ca journal verify` to find.
  await (await openJournal(directory, options))[Symbol.asyncDispose]()
  for (const [what, text] of Object.entries({
    'another head': saved.replace(/"root":"./, '"root":"_'),
    'another subtree': saved.replace(/"peaks":\["(.)/, (_all, digit) => `"peaks":["${digit === '0' ? 1 : 0}`),
    'another place': saved.replace(/"offset":(\d+)/, (_all, offset) => `"offset":${Number(offset) - 1}`),
    'no checkpoint': '{}',
    'no JSON': saved.slice(0, 20),
  })) {
    assert.notEqual(text, saved)
    await writeFile(checkpoint, text)
    await assert.rejects(openJournal(directory, options), { code: 'CA_JOURNAL_DAMAGED' }, what)
  }
})

test('openJournal refuses to go on without the key that signed', async (t) => {
  const directory = await journalDirectory(t)
  await (await openJournal(directory, options))[Symbol.asyncDispose]()
  await rm(journalFiles(directory).key)
  await assert.rejects(openJournal(directory, options), { code: 'CA_STORE_CORRUPT', message: /key\.pem/ })
})

test('openJournal puts the entries of an older journal first, once, and sets that aside', async (t) => {
  const directory = await journalDirectory(t)
  const older = `${directory}.jsonl`
  const text = `${JSON.stringify(refused('old'))}\n{"kind":"iss\n${JSON.stringify(refused('new'))}\n`
  await writeFile(older, text)
  for (const round of [1, 2]) {
    await using journal = await openJournal(directory, { ...options, older })
    await journal.append(refused(`round ${round}`))
  }
  assert.deepEqual(await contents(directory), ['begun', 'old', 'new', 'imported', 'round 1', 'round 2'])
  const { entries } = await readAll(directory)
  assert.equal(entries[0]!['olderSha256'], crypto.digest('sha256', Buffer.from(text)).toHex())
  assert.deepEqual([entries[3]!['entries'], entries[3]!['unreadable']], [2, 1])
  assert.equal(await readFile(`${older}.imported`, 'utf8'), text)
  await assert.rejects(stat(older), { code: 'ENOENT' })

  await writeFile(older, text)
  await (await openJournal(directory, { ...options, older }))[Symbol.asyncDispose]()
  await assert.rejects(
    stat(older),
    { code: 'ENOENT' },
    'a crash came between the import and setting it aside',
  )

  await writeFile(older, `${JSON.stringify(refused('from a version that went back'))}\n`)
  await assert.rejects(openJournal(directory, { ...options, older }), {
    code: 'CA_STORE_CORRUPT',
    message: /move it away/,
  })
})

test('JournalFile.open names the file it cannot open', async (t) => {
  const files = journalFiles(join(await temporaryDirectory(t), 'missing'))
  const key = crypto.generateKey('ec-p256')
  const position = {
    state: { frontier: { size: 0, peaks: [] }, chain: new Uint8Array(32), head: undefined },
    offset: 0,
  }
  await assert.rejects(JournalFile.open(files, { ...options, key, position }), (error: Error) =>
    error.message.includes(files.log),
  )
})
