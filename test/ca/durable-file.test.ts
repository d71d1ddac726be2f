import assert from 'node:assert/strict'
import * as nodeFiles from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { SECRET_FILE_MODE, writeDurably, type FileOperations } from '../../src/ca/durable-file.ts'
import { CaError } from '../../src/ca/errors.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** A disk that fails at one operation, as a crash would end everything there. */
function failingAt(operation: 'open' | 'write' | 'sync' | 'rename'): FileOperations {
  const crash = (): never => {
    throw new Error(`crash at ${operation}`)
  }
  return {
    rm: nodeFiles.rm,
    rename: operation === 'rename' ? crash : nodeFiles.rename,
    async open(...args: Parameters<typeof nodeFiles.open>) {
      if (operation === 'open') crash()
      const handle = await nodeFiles.open(...args)
      if (operation === 'write') handle.writeFile = crash
      if (operation === 'sync') handle.sync = crash
      return handle
    },
  }
}

test('writeDurably gives the file exactly the mode asked for, whatever the umask', async (t) => {
  const path = join(await temporaryDirectory(t), 'key.pem')
  const umask = process.umask(0)
  t.after(() => process.umask(umask))
  await writeDurably(path, 'secret', { mode: SECRET_FILE_MODE })
  assert.equal((await nodeFiles.stat(path)).mode & 0o777, 0o600)
  process.umask(0o277)
  await writeDurably(path, 'secret again', { mode: 0o644 })
  assert.equal((await nodeFiles.stat(path)).mode & 0o777, 0o644)
})

for (const operation of ['open', 'write', 'sync', 'rename'] as const) {
  test(`writeDurably keeps the old content when it is cut off at ${operation}, and works again after`, async (t) => {
    const path = join(await temporaryDirectory(t), 'key.pem')
    await writeDurably(path, 'old', { mode: SECRET_FILE_MODE })
    await assert.rejects(
      writeDurably(path, 'new', { mode: SECRET_FILE_MODE, files: failingAt(operation) }),
      (error) => error instanceof CaError && error.code === 'CA_STORE_IO' && error.message.includes(path),
    )
    assert.equal(await nodeFiles.readFile(path, 'utf8'), 'old')
    await writeDurably(path, 'new', { mode: SECRET_FILE_MODE })
    assert.equal(await nodeFiles.readFile(path, 'utf8'), 'new')
    assert.deepEqual(await nodeFiles.readdir(join(path, '..')), ['key.pem'], 'no half-written file is left')
  })
}

test('writeDurably never reuses a left-over that others can read', async (t) => {
  const path = join(await temporaryDirectory(t), 'key.pem')
  await nodeFiles.writeFile(`${path}.unfinished`, 'half a ke', { mode: 0o666 })
  await writeDurably(path, 'whole key', { mode: SECRET_FILE_MODE })
  assert.equal((await nodeFiles.stat(path)).mode & 0o777, 0o600)
  assert.equal(await nodeFiles.readFile(path, 'utf8'), 'whole key')
})

test('writeDurably flushes the file before the rename and the directory after it', async (t) => {
  const steps: string[] = []
  const path = join(await temporaryDirectory(t), 'key.pem')
  await writeDurably(path, 'content', {
    mode: SECRET_FILE_MODE,
    files: {
      rm: nodeFiles.rm,
      async rename(from, to) {
        steps.push('rename')
        await nodeFiles.rename(from, to)
      },
      async open(...args: Parameters<typeof nodeFiles.open>) {
        const handle = await nodeFiles.open(...args)
        const sync = handle.sync.bind(handle)
        handle.sync = async () => {
          steps.push((await handle.stat()).isDirectory() ? 'sync directory' : 'sync file')
          await sync()
        }
        return handle
      },
    },
  })
  assert.deepEqual(steps, ['sync file', 'rename', 'sync directory'])
})
