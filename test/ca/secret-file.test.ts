import assert from 'node:assert/strict'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { InsecureFileError } from '../../src/ca/errors.ts'
import { readSecretFile, refuseOpenDirectory } from '../../src/ca/secret-file.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

for (const mode of [0o640, 0o604, 0o660, 0o606, 0o601, 0o610]) {
  const text = `0${mode.toString(8)}`
  test(`readSecretFile refuses a file of mode ${text} and says what to run`, async (t) => {
    const path = join(await temporaryDirectory(t), 'root.pem')
    await writeFile(path, 'the key itself')
    await chmod(path, mode)
    await assert.rejects(readSecretFile(path), (error) => {
      assert.ok(error instanceof InsecureFileError)
      assert.equal(error.code, 'CA_STORE_PERMISSIONS')
      assert.equal(
        error.message,
        `${path} has mode ${text}, expected 0600 because it holds secrets; run: chmod 0600 '${path}'`,
      )
      assert.deepEqual([error.path, error.mode, error.expectedMode], [path, text, '0600'])
      return true
    })
  })
}

test('readSecretFile reads a file that only its owner may read', async (t) => {
  const path = join(await temporaryDirectory(t), 'root.pem')
  await writeFile(path, 'the key itself', { mode: 0o400 })
  assert.equal(await readSecretFile(path), 'the key itself')
})

test('readSecretFile tells a file that is not there from one that cannot be read', async (t) => {
  const directory = await temporaryDirectory(t)
  assert.equal(await readSecretFile(join(directory, 'nothing')), undefined)
  await mkdir(join(directory, 'folder'), { mode: 0o700 })
  await assert.rejects(readSecretFile(join(directory, 'folder')), { code: 'CA_STORE_IO' })
})

test('refuseOpenDirectory refuses a directory that others may enter', async (t) => {
  const path = join(await temporaryDirectory(t), 'ca')
  await mkdir(path)
  await chmod(path, 0o711)
  await assert.rejects(refuseOpenDirectory(path), { code: 'CA_STORE_PERMISSIONS', message: /chmod 0700/ })
  await chmod(path, 0o700)
  await refuseOpenDirectory(path)
})
