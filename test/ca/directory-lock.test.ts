import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'node:test'
import { lockDirectory } from '../../src/ca/directory-lock.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const LOCKED = { code: 'CA_STORE_LOCKED', message: /in use by another controller/ }

test('lockDirectory lets one holder in at a time', async (t) => {
  const directory = await temporaryDirectory(t)
  const lock = lockDirectory(directory)
  assert.throws(() => lockDirectory(directory), LOCKED)
  lock[Symbol.dispose]()
  lockDirectory(directory)[Symbol.dispose]()
})

test('lockDirectory keeps other processes out, until the holder is killed', async (t) => {
  const directory = await temporaryDirectory(t)
  const module = join(import.meta.dirname, '../../src/ca/directory-lock.ts')
  const holder = spawn(process.execPath, [
    '--expose-gc',
    '--input-type=module',
    '--eval',
    // Whoever forgets the lock has not let go of it.
    `import { lockDirectory } from ${JSON.stringify(module)}
     lockDirectory(${JSON.stringify(directory)}); gc(); console.log('held'); setInterval(() => {}, 1000)`,
  ])
  t.after(() => holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  assert.throws(() => lockDirectory(directory), LOCKED)
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  lockDirectory(directory)[Symbol.dispose]()
})

test('lockDirectory says which file it cannot make', async (t) => {
  const missing = join(await temporaryDirectory(t), 'missing')
  assert.throws(() => lockDirectory(missing), {
    code: 'CA_STORE_IO',
    message: new RegExp(join(missing, 'lock')),
  })
})
