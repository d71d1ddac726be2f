import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import test from 'node:test'
import * as fc from 'fast-check'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { KeyKind } from '../../src/crypto/provider.ts'
import {
  type BundleDocument,
  decodeBundleDocument,
  encodeBundleDocument,
} from '../../src/identity/bundle-document.ts'
import { sameBundle, trustBundle } from '../../src/identity/trust-bundle.ts'
import { mintRoot } from '../support/certificates.ts'

const crypto = nativeCrypto()
const TRUST_DOMAIN = 'partner.example'
const options = { trustDomain: TRUST_DOMAIN, crypto }
const uris = [`spiffe://${TRUST_DOMAIN}`]

const KINDS: readonly Exclude<KeyKind, 'rsa'>[] = ['ec-p256', 'ec-p384', 'ec-p521', 'ed25519', 'ml-dsa-44']
const rsa = crypto.importPrivateKey(
  generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'der', type: 'pkcs8' }),
)
const roots = await Promise.all(
  [...KINDS.map((kind) => crypto.generateKey(kind)), rsa].map(
    async (key) => (await mintRoot({ uris, key })).certificate,
  ),
)
const signers = (['ec-p256', 'ec-p384'] as const).map((kind) => crypto.generateKey(kind).publicKey.spki)

test('decodeBundleDocument reads what encodeBundleDocument wrote', () => {
  const documents = fc.record({
    anchors: fc.subarray([...roots]),
    keyIds: fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 4 }),
    sequence: fc.option(fc.maxSafeNat(), { nil: undefined }),
    refreshHintSeconds: fc.option(fc.integer({ min: 1 }), { nil: undefined }),
  })
  fc.assert(
    fc.property(documents, ({ anchors, keyIds, sequence, refreshHintSeconds }) => {
      const authorities = keyIds.map((keyId, place) => ({ keyId, spki: signers[place % signers.length]! }))
      const isEmpty = anchors.length + authorities.length === 0
      const document: BundleDocument = {
        bundle: isEmpty ? undefined : trustBundle(TRUST_DOMAIN, anchors, authorities),
        sequence,
        refreshHintSeconds,
      }
      const read = decodeBundleDocument(encodeBundleDocument(document), options)
      assert.ok(sameBundle(read.bundle, document.bundle))
      assert.deepEqual([read.sequence, read.refreshHintSeconds], [sequence, refreshHintSeconds])
    }),
  )
})

test('decodeBundleDocument refuses what was cut off, wherever it was', () => {
  const text = encodeBundleDocument({
    bundle: trustBundle(TRUST_DOMAIN, roots.slice(0, 1), [{ keyId: 'a', spki: signers[0]! }]),
    sequence: 7,
    refreshHintSeconds: 60,
  })
  for (let end = 0; end < text.trimEnd().length; end++)
    assert.throws(() => decodeBundleDocument(text.slice(0, end), options), { code: 'BUNDLE_MALFORMED' })
})

interface Key {
  readonly use?: string
  readonly [member: string]: unknown
}

function keysOf(...changed: readonly Key[]): string {
  return JSON.stringify({ keys: changed })
}

const [root] = roots
const anchor = (
  JSON.parse(
    encodeBundleDocument({
      bundle: trustBundle(TRUST_DOMAIN, [root!], [{ keyId: 'a', spki: signers[0]! }]),
      sequence: undefined,
      refreshHintSeconds: undefined,
    }),
  ) as { readonly keys: readonly [Key, Key] }
).keys

test('decodeBundleDocument passes over keys of unknown use and unknown kind', () => {
  const [x509, jwt] = anchor
  const { use: _use, ...useless } = x509
  const text = keysOf(
    useless,
    { ...x509, use: 'wit-svid' },
    { ...jwt, kty: 'AKP' },
    { ...x509, kty: undefined },
    x509,
  )
  const { bundle } = decodeBundleDocument(text, options)
  assert.deepEqual([bundle!.anchors.length, bundle!.jwtAuthorities.length], [1, 0])
  assert.equal(decodeBundleDocument('{"keys":[]}', options).bundle, undefined)
})

test('decodeBundleDocument refuses the whole where a key of known use cannot be read', async () => {
  const [x509, jwt] = anchor
  const [certificate] = x509['x5c'] as readonly [string]
  const foreign = await mintRoot({ uris: ['spiffe://shop.example'] })
  const refused: Readonly<Record<string, Key>> = {
    'no certificate': { ...x509, x5c: undefined },
    'two certificates': { ...x509, x5c: [certificate, certificate] },
    'no base64': { ...x509, x5c: ['-'] },
    'no DER': { ...x509, x5c: ['AAAA'] },
    'an authority of another trust domain': { ...x509, x5c: [foreign.certificate.der.toBase64()] },
    'no name': { ...jwt, kid: undefined },
    'an empty name': { ...jwt, kid: '' },
    'no point': { ...jwt, x: undefined },
    'a point that is not of the curve': { ...jwt, x: 'AAAA' },
  }
  for (const [what, key] of Object.entries(refused))
    assert.throws(() => decodeBundleDocument(keysOf(x509, key), options), { code: 'BUNDLE_MALFORMED' }, what)
  assert.throws(() => decodeBundleDocument(keysOf(jwt, jwt), options), { code: 'BUNDLE_MALFORMED' })
  for (const text of [
    '[]',
    '{}',
    '{"keys":{}}',
    '{"keys":[],"spiffe_sequence":"1"}',
    '{"keys":[],"spiffe_sequence":-1}',
  ])
    assert.throws(() => decodeBundleDocument(text, options), { code: 'BUNDLE_MALFORMED' }, text)
})
