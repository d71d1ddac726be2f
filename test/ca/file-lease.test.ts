import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { FileLease } from '../../src/ca/file-lease.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('FileLease has one holder at a time, and another term for each', async (t) => {
  const lease = new FileLease(join(await temporaryDirectory(t), 'leader'))
  assert.equal(await lease.holder(), undefined)
  const first = await lease.tryAcquire('a')
  assert.equal(first?.term, 1)
  assert.equal(await lease.tryAcquire('b'), undefined)
  assert.deepEqual(await lease.holder(), { term: 1, holder: 'a' })
  assert.equal(await first.renew(), true)
  first[Symbol.dispose]()
  const second = await lease.tryAcquire('b')
  assert.equal(second?.term, 2)
  assert.deepEqual(await lease.holder(), { term: 2, holder: 'b' })
  assert.equal(await first.renew(), false)
  // Giving it back twice does not take it from the next.
  first[Symbol.dispose]()
  assert.equal(await second.renew(), true)
  assert.equal(await lease.tryAcquire('c'), undefined)
  second[Symbol.dispose]()
})

test('FileLease is free at once when its holder is killed', async (t) => {
  const directory = join(await temporaryDirectory(t), 'leader')
  const module = join(import.meta.dirname, '../../src/ca/file-lease.ts')
  const holder = spawn(process.execPath, [
    '--input-type=module',
    '--eval',
    `import { FileLease } from ${JSON.stringify(module)}
     globalThis.held = await new FileLease(${JSON.stringify(directory)}).tryAcquire('a')
     console.log('held'); setInterval(() => {}, 1000)`,
  ])
  t.after(() => holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  const lease = new FileLease(directory)
  assert.equal(await lease.tryAcquire('b'), undefined)
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  using taken = await lease.tryAcquire('b')
  assert.equal(taken?.term, 2)
})

test('FileLease does not count terms anew when its record is damaged', async (t) => {
  const directory = join(await temporaryDirectory(t), 'leader')
  const lease = new FileLease(directory)
  const held = await lease.tryAcquire('a')
  held![Symbol.dispose]()
  await writeFile(join(directory, 'leader.json'), '{"term":"x"}', { mode: 0o600 })
  await assert.rejects(lease.tryAcquire('a'), { code: 'CA_STORE_CORRUPT' })
  await assert.rejects(lease.holder(), { code: 'CA_STORE_CORRUPT' })
})
