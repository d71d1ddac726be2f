import assert from 'node:assert/strict'
import { chmod, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { readCertificates, readCredential } from '../../src/cmd/credentials.ts'
import { parseContents, readOperatorFile, readSecretFile } from '../../src/cmd/files.ts'
import { ConfigError } from '../../src/config/errors.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { mintIntermediate, mintRoot, mintSvid, pemOf } from '../support/certificates.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('readOperatorFile and readSecretFile return the text', async (t) => {
  const path = join(await temporaryDirectory(t), 'file')
  await writeFile(path, 'Grüße', { mode: 0o600 })
  assert.equal(await readOperatorFile({ path, field: '--ca' }), 'Grüße')
  assert.equal(await readSecretFile({ path, field: '--key' }), 'Grüße')
})

test('readOperatorFile names a missing file, its flag and what was expected', async (t) => {
  const path = join(await temporaryDirectory(t), 'none.pem')
  await assert.rejects(readOperatorFile({ path, field: '--ca' }), {
    code: 'CONFIG_MISSING_FILE',
    message: `${path} --ca: expected a readable file, got no such file`,
  })
})

test('readOperatorFile refuses directories and files of absurd size', async (t) => {
  const directory = await temporaryDirectory(t)
  await assert.rejects(readOperatorFile({ path: directory, field: '--ca' }), {
    code: 'CONFIG_UNREADABLE',
    message: `${directory} --ca: expected a readable file, got a directory`,
  })
  const path = join(directory, 'huge')
  await writeFile(path, '')
  await truncate(path, 2 ** 32)
  await assert.rejects(readOperatorFile({ path, field: '--ca' }), { code: 'CONFIG_UNREADABLE' })
})

test('readOperatorFile names a file that it may not read', async (t) => {
  if (process.getuid?.() === 0) return t.skip('root may read everything')
  const path = join(await temporaryDirectory(t), 'closed')
  await writeFile(path, '', { mode: 0 })
  await assert.rejects(readOperatorFile({ path, field: '--ca' }), {
    code: 'CONFIG_UNREADABLE',
    message: `${path} --ca: expected a readable file, got permission denied`,
  })
})

test('readSecretFile refuses every permission of group and others, also behind a link', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'key.pem')
  const link = join(directory, 'link.pem')
  await writeFile(path, 'secret')
  await symlink(path, link)
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o644, 0o777]) {
    await chmod(path, mode)
    for (const named of [path, link])
      await assert.rejects(readSecretFile({ path: named, field: '--key' }), {
        code: 'CONFIG_INSECURE_PERMISSIONS',
        message: `${named} --key: expected a file that only its owner can read (0600), got permissions 0${mode.toString(8)} (chmod 600 ${named})`,
      })
  }
  await chmod(path, 0o400)
  assert.equal(await readSecretFile({ path, field: '--key' }), 'secret')
})

test('parseContents tells contents that make no sense with the name of the file', () => {
  const file = { path: 'a.pem', field: '--ca' }
  assert.equal(
    parseContents(file, 'a number', () => 7),
    7,
  )
  assert.throws(
    () =>
      parseContents(file, 'a number', () => {
        throw new Error('Not a number')
      }),
    (thrown) =>
      thrown instanceof ConfigError &&
      thrown.code === 'CONFIG_INVALID' &&
      thrown.message === 'a.pem --ca: expected a number, got something else: Not a number' &&
      (thrown.cause as Error).message === 'Not a number',
  )
})

test('readCredential reads a chain and the key of its leaf', async (t) => {
  const directory = await temporaryDirectory(t)
  const [cert, key] = [
    { path: join(directory, 'cert.pem'), field: '--cert' },
    { path: join(directory, 'key.pem'), field: '--key' },
  ]
  const svid = await mintSvid(await mintIntermediate(await mintRoot()))
  const other = await mintSvid(await mintRoot())
  const pem = pemOf(svid)
  await writeFile(cert.path, pem.cert)
  await writeFile(key.path, pem.key, { mode: 0o600 })
  const credential = await readCredential({ cert, key }, nativeCrypto())
  assert.deepEqual(
    credential.chain.map(({ der }) => Buffer.from(der)),
    svid.chain.map(({ der }) => Buffer.from(der)),
  )
  assert.deepEqual(credential.key.publicKey.spki, svid.key.publicKey.spki)
  assert.equal((await readCertificates(cert)).length, 2)

  await writeFile(key.path, pemOf(other).key)
  await assert.rejects(readCredential({ cert, key }, nativeCrypto()), (thrown) => {
    assert.ok(thrown instanceof ConfigError)
    assert.equal(thrown.code, 'CONFIG_INVALID')
    assert.ok(
      thrown.message.startsWith(
        `${key.path} --key: expected the private key of the first certificate in ${cert.path}, got `,
      ),
    )
    return true
  })
  await writeFile(key.path, 'no key')
  await assert.rejects(readCredential({ cert, key }, nativeCrypto()), { code: 'CONFIG_INVALID' })
})
