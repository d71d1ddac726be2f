import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { DirectoryBundleStore } from '../../src/ca/federation-store.ts'
import { PublishedBundle } from '../../src/ca/published-bundle.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { decodeBundleDocument } from '../../src/identity/bundle-document.ts'
import { trustBundle } from '../../src/identity/trust-bundle.ts'
import { mintTrustDomain } from '../support/certificates.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const TRUST_DOMAIN = 'shop.example'
const crypto = nativeCrypto()
const [one, other] = await Promise.all([mintTrustDomain(TRUST_DOMAIN), mintTrustDomain(TRUST_DOMAIN)])

test('PublishedBundle gives another bundle another, greater number, over restarts too', async (t) => {
  const directory = join(await temporaryDirectory(t), 'federation')
  let bundle = one.bundle
  const start = async () => {
    const store = await DirectoryBundleStore.open(directory)
    const published = new PublishedBundle({ bundle: () => bundle, refreshHintSeconds: 300, store, crypto })
    return async () => {
      const text = await published.document()
      return decodeBundleDocument(text, { trustDomain: TRUST_DOMAIN, crypto })
    }
  }
  const first = await start()
  const documents = await Promise.all([first(), first()])
  assert.deepEqual(
    documents.map(({ sequence }) => sequence),
    [1, 1],
  )
  assert.equal((await (await start())()).sequence, 1)
  bundle = trustBundle(TRUST_DOMAIN, [...one.bundle.anchors, ...other.bundle.anchors])
  const second = await start()
  const { sequence, refreshHintSeconds, bundle: read } = await second()
  assert.deepEqual([sequence, refreshHintSeconds, read!.anchors.length], [2, 300, 2])
  // A way back is a change like another.
  bundle = one.bundle
  assert.equal((await second()).sequence, 3)
})

test('DirectoryBundleStore keeps documents from others, and forgets all but those it is told to retain', async (t) => {
  const directory = join(await temporaryDirectory(t), 'federation')
  const store = await DirectoryBundleStore.open(directory)
  for (const name of ['..', 'a.example', 'b.example']) await store.save(name, name)
  assert.equal((await stat(directory)).mode & 0o777, 0o700)
  for (const file of await readdir(directory))
    assert.equal((await stat(join(directory, file))).mode & 0o777, 0o600)
  assert.equal(await store.load('..'), '..')
  await store.retain(['a.example'])
  assert.deepEqual(await readdir(directory), ['a.example.json'])
  assert.deepEqual([await store.load('a.example'), await store.load('b.example')], ['a.example', undefined])
})
