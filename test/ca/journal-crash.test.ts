import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test from 'node:test'
import { openJournal } from '../../src/ca/open-journal.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { readAll } from '../support/journals.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const WRITER = join(import.meta.dirname, '../support/journal-writer.ts')

/** Kills a writer once it has acknowledged so many entries; returns all that it has. */
async function writeAndKill(directory: string, prefix: string, acknowledgements: number): Promise<string[]> {
  const child = spawn(process.execPath, [WRITER, directory, prefix], { stdio: ['ignore', 'pipe', 'inherit'] })
  const acknowledged: string[] = []
  for await (const line of createInterface(child.stdout)) {
    acknowledged.push(line)
    if (acknowledged.length === acknowledgements) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  assert.equal(child.signalCode, 'SIGKILL')
  return acknowledged
}

test('a journal whose writer is killed again and again has all that was acknowledged, in one tree', async (t) => {
  const directory = join(await temporaryDirectory(t), 'journal')
  const acknowledged: string[] = []
  for (let round = 0; round < 12; round++)
    acknowledged.push(...(await writeAndKill(directory, `${round}`, 1 + ((round * 37) % 120))))
  await using journal = await openJournal(directory, {
    crypto: nativeCrypto(),
    trustDomain: 'example.org',
    nowMs: Date.now,
  })
  const { entries, end } = await readAll(directory)
  assert.ok(end.kind === 'intact')
  assert.equal(end.tailBytes, 0)
  assert.equal(journal.head?.size, entries.length)
  const recorded = new Set(entries.map(({ reason }) => String(reason).replace(/\.+$/, '')))
  assert.ok(acknowledged.length >= 12)
  assert.deepEqual(
    acknowledged.filter((reason) => !recorded.has(reason)),
    [],
  )
})
