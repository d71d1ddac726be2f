import assert from 'node:assert/strict'
import test from 'node:test'
import {
  encodeTrustBundlePem,
  readTrustBundlePem,
  trustBundle,
  TrustBundles,
} from '../../src/identity/trust-bundle.ts'
import { mintRoot, mintSvid, mintTrustDomain, pemOf } from '../support/certificates.ts'

const shop = await mintTrustDomain('shop.example')
const bank = await mintTrustDomain('bank.example')

test('trustBundle keeps each anchor once', () => {
  const { certificate } = shop.root
  assert.deepEqual(trustBundle('shop.example', [certificate, certificate]).anchors, [certificate])
})

test('trustBundle refuses what cannot be an anchor of that trust domain', async () => {
  const svid = await mintSvid(shop.intermediate)
  assert.throws(() => trustBundle('shop.example', []), {
    code: 'IDENTITY_BUNDLE',
    message: /holds no certificate/,
  })
  assert.throws(() => trustBundle('shop.example', [svid.certificate]), {
    code: 'IDENTITY_BUNDLE',
    message: /no certificate authority/,
    certificate: svid.certificate,
  })
  const cannotSign = await mintRoot({ keyUsage: ['cRLSign'] })
  assert.throws(() => trustBundle('shop.example', [cannotSign.certificate]), { code: 'IDENTITY_BUNDLE' })
  assert.throws(() => trustBundle('bank.example', [shop.root.certificate]), {
    code: 'IDENTITY_BUNDLE',
    message: /another trust domain: spiffe:\/\/shop\.example/,
  })
  const nameless = await mintRoot({ uris: [] })
  trustBundle('bank.example', [nameless.certificate])
  assert.throws(() => trustBundle('Shop', [nameless.certificate]), { code: 'IDENTITY_MALFORMED' })
  assert.throws(() => trustBundle('shop/a', [nameless.certificate]), { code: 'IDENTITY_MALFORMED' })
})

test('readTrustBundlePem reads back what encodeTrustBundlePem writes', async () => {
  const second = await mintRoot()
  const bundle = trustBundle('shop.example', [shop.root.certificate, second.certificate])
  const again = readTrustBundlePem('shop.example', encodeTrustBundlePem(bundle))
  assert.deepEqual(
    again.anchors.map(({ der }) => der),
    bundle.anchors.map(({ der }) => der),
  )
  assert.throws(() => readTrustBundlePem('shop.example', pemOf(shop.root).key), { code: 'PKI_PEM' })
})

test('TrustBundles finds the bundle of exactly one trust domain', () => {
  const bundles = TrustBundles.of(shop.bundle, bank.bundle)
  assert.equal(bundles.lookup('shop.example'), shop.bundle)
  assert.equal(bundles.lookup('eu.shop.example'), undefined)
  assert.equal(bundles.lookup('SHOP.example'), undefined)
  assert.deepEqual(bundles.trustDomains, ['shop.example', 'bank.example'])
  assert.deepEqual([...bundles], [shop.bundle, bank.bundle])
})

test('TrustBundles never merges, and replaces as a whole', async () => {
  const next = await mintTrustDomain('shop.example')
  assert.throws(() => TrustBundles.of(shop.bundle, next.bundle), { code: 'IDENTITY_BUNDLE' })
  const before = TrustBundles.of(shop.bundle, bank.bundle)
  const after = before.with(next.bundle)
  assert.equal(after.lookup('shop.example'), next.bundle)
  assert.equal(after.lookup('bank.example'), bank.bundle)
  assert.equal(before.lookup('shop.example'), shop.bundle)
})
