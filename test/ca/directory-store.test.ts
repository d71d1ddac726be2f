import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import * as nodeFiles from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { CertificateAuthority } from '../../src/ca/authority.ts'
import { DirectoryCaStore } from '../../src/ca/directory-store.ts'
import { DirectoryTokenStore } from '../../src/ca/directory-token-store.ts'
import { createJoinToken } from '../../src/ca/join-token.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { MemoryJournal, TRUST_DOMAIN, WEB } from '../support/memory-ca.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const NOW_MS = Date.UTC(2026, 5, 1)
const DAY_MS = 24 * 3600 * 1000
const crypto = nativeCrypto()

function open(store: DirectoryCaStore): Promise<CertificateAuthority> {
  const journal = new MemoryJournal()
  const options = { store, journal, crypto, trustDomain: TRUST_DOMAIN, intermediateTtlMs: DAY_MS }
  return CertificateAuthority.open(options, { nowMs: NOW_MS })
}

async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777
}

const FILES = ['intermediate.pem', 'jwt-keys.json', 'root.pem', 'rotation.json']

test('DirectoryCaStore keeps keys in files of mode 0600 in a directory of mode 0700', async (t) => {
  const directory = join(await temporaryDirectory(t), 'state', 'ca')
  const first = await open(await DirectoryCaStore.open(directory))
  assert.deepEqual((await readdir(directory)).sort(), FILES)
  assert.equal(await modeOf(directory), 0o700)
  for (const name of await readdir(directory)) assert.equal(await modeOf(join(directory, name)), 0o600, name)
  const again = await open(await DirectoryCaStore.open(directory))
  assert.deepEqual(again.bundle.anchors[0]!.der, first.bundle.anchors[0]!.der)
})

test('DirectoryCaStore refuses a key that others may read, and a directory that others may enter', async (t) => {
  const directory = join(await temporaryDirectory(t), 'ca')
  await open(await DirectoryCaStore.open(directory))
  const root = join(directory, 'root.pem')
  await chmod(root, 0o644)
  await assert.rejects(open(await DirectoryCaStore.open(directory)), {
    code: 'CA_STORE_PERMISSIONS',
    path: root,
    mode: '0644',
    expectedMode: '0600',
  })
  await chmod(root, 0o600)
  await chmod(directory, 0o750)
  await assert.rejects(DirectoryCaStore.open(directory), { code: 'CA_STORE_PERMISSIONS', path: directory })
})

test('DirectoryCaStore refuses a file that is not one certificate and one key', async (t) => {
  const directory = join(await temporaryDirectory(t), 'ca')
  const store = await DirectoryCaStore.open(directory)
  await open(store)
  const root = join(directory, 'root.pem')
  const text = await readFile(root, 'utf8')
  const [certificate, key] = text.split(/(?=-----BEGIN PRIVATE KEY)/)
  for (const content of ['', 'not PEM', certificate!, key!, text + certificate!, text.slice(0, -40)]) {
    await writeFile(root, content)
    await assert.rejects(store.load('root'), { code: 'CA_STORE_CORRUPT', message: new RegExp(root) }, content)
  }
})

test('DirectoryCaStore finds all or nothing after a crash at any moment of the first start', async (t) => {
  for (const operation of ['open', 'rename'] as const) {
    for (const survived of [0, 1, 2, 3]) {
      const directory = join(await temporaryDirectory(t), 'ca')
      let left = survived
      const crashing = {
        rm: nodeFiles.rm,
        open: nodeFiles.open,
        rename: nodeFiles.rename,
        [operation]: async (...args: [string, string]) => {
          if (left-- === 0) throw new Error('power cut')
          return operation === 'open' ? nodeFiles.open(...args) : nodeFiles.rename(...args)
        },
      }
      await open(await DirectoryCaStore.open(directory, crashing)).catch(() => {})
      // A crash leaves the half-written file, where the failing disk above let it be.
      const before = await readFile(join(directory, 'root.pem'), 'utf8').catch(() => undefined)
      await open(await DirectoryCaStore.open(directory))
      const after = await readFile(join(directory, 'root.pem'), 'utf8')
      if (before !== undefined) assert.equal(after, before, 'a root that was made once is kept')
      assert.deepEqual((await readdir(directory)).sort(), FILES)
    }
  }
})

test('DirectoryTokenStore keeps registrations where only the owner reads them, and no token', async (t) => {
  const directory = join(await temporaryDirectory(t), 'tokens')
  const store = await DirectoryTokenStore.open(directory)
  const { text } = await createJoinToken(WEB, { crypto, store, nowMs: NOW_MS, ttlMs: DAY_MS })
  const [name] = await readdir(directory)
  assert.equal(await modeOf(directory), 0o700)
  assert.equal(await modeOf(join(directory, name!)), 0o600)
  const content = await readFile(join(directory, name!), 'utf8')
  assert.ok(!(name! + content).includes(text.slice(4)))
  assert.deepEqual(JSON.parse(content), {
    spiffeId: WEB.toString(),
    createdAt: '2026-06-01T00:00:00.000Z',
    expiresAt: '2026-06-02T00:00:00.000Z',
  })
})

test('DirectoryTokenStore sees at once what another process registers or deletes', async (t) => {
  const directory = join(await temporaryDirectory(t), 'tokens')
  const [writer, reader] = [
    await DirectoryTokenStore.open(directory),
    await DirectoryTokenStore.open(directory),
  ]
  const hash = crypto.digest('sha256', new Uint8Array(1))
  const registration = { spiffeId: WEB.toString(), createdAtMs: NOW_MS, expiresAtMs: NOW_MS + DAY_MS }
  assert.equal(await reader.find(hash), undefined)
  await writer.save(hash, registration)
  assert.deepEqual(await reader.find(hash), registration)
  assert.equal(await writer.sweep(NOW_MS + DAY_MS), 0)
  assert.equal(await writer.sweep(NOW_MS + DAY_MS + 1), 1)
  assert.equal(await reader.find(hash), undefined)
})

test('DirectoryTokenStore refuses a registration that is damaged or open to others', async (t) => {
  const directory = join(await temporaryDirectory(t), 'tokens')
  await mkdir(directory, { mode: 0o700 })
  const store = await DirectoryTokenStore.open(directory)
  const hash = crypto.digest('sha256', new Uint8Array(1))
  const path = join(directory, `${hash.toHex()}.json`)
  for (const content of [
    '',
    '{',
    '[]',
    'null',
    '{"spiffeId":1}',
    '{"spiffeId":"x","createdAt":"?","expiresAt":"?"}',
  ]) {
    await writeFile(path, content, { mode: 0o600 })
    await assert.rejects(store.find(hash), { code: 'CA_STORE_CORRUPT' }, content)
  }
  await chmod(path, 0o644)
  await assert.rejects(store.find(hash), { code: 'CA_STORE_PERMISSIONS' })
})

test('DirectoryTokenStore.countUse lets no more through than there are uses, of any number of processes', async (t) => {
  const directory = join(await temporaryDirectory(t), 'tokens')
  const stores = [await DirectoryTokenStore.open(directory), await DirectoryTokenStore.open(directory)]
  const hash = crypto.digest('sha256', new Uint8Array(1))
  const uses = 5
  const registration = { spiffeId: WEB.toString(), createdAtMs: NOW_MS, expiresAtMs: NOW_MS + DAY_MS, uses }
  await stores[0]!.save(hash, registration)
  assert.deepEqual(await stores[1]!.find(hash), registration)
  const counted = await Promise.all(Array.from({ length: 30 }, (_, i) => stores[i % 2]!.countUse(hash, uses)))
  assert.equal(counted.filter(Boolean).length, uses)
  const again = await DirectoryTokenStore.open(directory)
  assert.equal(await again.countUse(hash, uses), false, 'a restart forgets none')
  assert.equal(await again.sweep(NOW_MS), 0)
  assert.equal((await readdir(directory)).length, 1 + uses, 'what is registered keeps its uses')
  await again.sweep(NOW_MS + DAY_MS + 1)
  await again.sweep(NOW_MS + DAY_MS + 1)
  assert.deepEqual(await readdir(directory), [])
})
