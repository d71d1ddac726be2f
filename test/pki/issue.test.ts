import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { KeyKind, PrivateKey } from '../../src/crypto/provider.ts'
import { intermediateTemplate, issueCertificate, rootTemplate, svidTemplate } from '../../src/pki/issue.ts'
import { validatePath } from '../../src/pki/path.ts'
import { encodePem } from '../../src/pki/pem.ts'

const NOW_MS = Date.UTC(2026, 5, 1)
const HOUR_MS = 3_600_000
const ID = 'spiffe://shop.example/ns/shop/sa/web'

function newKey(kind: Exclude<KeyKind, 'rsa'> = 'ec-p256'): PrivateKey {
  return nativeCrypto().generateKey(kind)
}

function lifetime(hours: number) {
  return { notBeforeMs: NOW_MS - 300_000, notAfterMs: NOW_MS + hours * HOUR_MS }
}

/** A root, an intermediate and an SVID, with authorities' keys of this kind. */
async function issueAll(kind: Exclude<KeyKind, 'rsa'> = 'ec-p256') {
  const [rootKey, key, leafKey] = [newKey(kind), newKey(kind), newKey()]
  const trustDomain = 'shop.example'
  const root = await issueCertificate(
    rootTemplate({ trustDomain, publicKey: rootKey.publicKey, ...lifetime(1000), constrained: true }),
    { signingKey: rootKey },
  )
  const intermediate = await issueCertificate(
    intermediateTemplate({ trustDomain, publicKey: key.publicKey, ...lifetime(100) }),
    { issuer: root, signingKey: rootKey },
  )
  const leaf = await issueCertificate(
    svidTemplate({ id: ID, publicKey: leafKey.publicKey, ...lifetime(1), dnsNames: ['web.shop.svc'] }),
    { issuer: intermediate, signingKey: key },
  )
  return { root, rootKey, intermediate, key, leaf }
}

test('issueCertificate makes chains that validatePath accepts, with every kind of signing key', async () => {
  for (const kind of [
    'ec-p256',
    'ec-p384',
    'ec-p521',
    'ed25519',
    'ml-dsa-44',
    'ml-dsa-65',
    'ml-dsa-87',
  ] as const) {
    const { root, intermediate, leaf } = await issueAll(kind)
    const options = { anchors: [root], nowMs: NOW_MS, crypto: nativeCrypto(), usage: 'clientAuth' } as const
    assert.equal(validatePath([leaf, intermediate], options).path.length, 3)
  }
})

test('issueCertificate lays out authorities and SVIDs as X509-SVID has them', async () => {
  const { root, intermediate, leaf } = await issueAll()
  assert.equal(root.subject.text, 'CN=shop.example root')
  assert.deepEqual(root.basicConstraints, { critical: true, ca: true })
  assert.deepEqual(root.subjectAltNames.uris, ['spiffe://shop.example'])
  assert.ok(root.nameConstraints?.critical)
  assert.equal(root.authorityKeyIdentifier, undefined)
  assert.deepEqual(intermediate.basicConstraints, { critical: true, ca: true, pathLength: 0 })
  assert.deepEqual(intermediate.keyUsage, { critical: true, usages: ['keyCertSign', 'cRLSign'] })
  assert.deepEqual(intermediate.authorityKeyIdentifier?.keyIdentifier, root.subjectKeyIdentifier)
  assert.ok(leaf.subject.isEmpty)
  assert.deepEqual(leaf.subjectAltNames.uris, [ID])
  assert.deepEqual(leaf.subjectAltNames.dnsNames, ['web.shop.svc'])
  assert.ok(leaf.subjectAltNames.critical)
  assert.deepEqual(leaf.keyUsage, { critical: true, usages: ['digitalSignature'] })
  assert.deepEqual(leaf.basicConstraints, { critical: true, ca: false })
  assert.equal(leaf.notBeforeMs, NOW_MS - 300_000)
  assert.equal(leaf.notAfterMs, NOW_MS + HOUR_MS)
})

test('issueCertificate gives every certificate another positive serial number of 128 bits', async () => {
  const { key, intermediate } = await issueAll()
  const seen = new Set<string>()
  for (let i = 0; i < 20; i++) {
    const template = svidTemplate({ id: ID, publicKey: key.publicKey, ...lifetime(1) })
    const { serialBytes, serialNumber } = await issueCertificate(template, {
      issuer: intermediate,
      signingKey: key,
    })
    assert.equal(serialBytes.length, 16)
    assert.ok(serialBytes[0]! >= 0x40 && serialBytes[0]! < 0x80)
    seen.add(serialNumber)
  }
  assert.equal(seen.size, 20)
})

test('issueCertificate refuses to sign with another key, for a leaf, or beyond the issuer', async () => {
  const { root, rootKey, intermediate, key, leaf } = await issueAll()
  const template = svidTemplate({ id: ID, publicKey: key.publicKey, ...lifetime(1) })
  await assert.rejects(issueCertificate(template, { issuer: root, signingKey: key }), {
    code: 'PKI_KEY_MISMATCH',
  })
  await assert.rejects(issueCertificate(template, { signingKey: rootKey }), { code: 'PKI_KEY_MISMATCH' })
  await assert.rejects(issueCertificate(template, { issuer: leaf, signingKey: key }), {
    code: 'PKI_NOT_A_CA',
  })
  const long = svidTemplate({ id: ID, publicKey: key.publicKey, ...lifetime(101) })
  await assert.rejects(issueCertificate(long, { issuer: intermediate, signingKey: key }), RangeError)
  const inverted = svidTemplate({
    id: ID,
    publicKey: key.publicKey,
    notBeforeMs: NOW_MS,
    notAfterMs: NOW_MS - 1,
  })
  await assert.rejects(issueCertificate(inverted, { issuer: intermediate, signingKey: key }), RangeError)
})

const openssl = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is absent'

test('issueCertificate makes what OpenSSL accepts in strict mode', { skip: openssl }, async () => {
  const { root, intermediate, leaf } = await issueAll()
  const folder = mkdtempSync(join(tmpdir(), 'handfast-'))
  try {
    const [rootFile, chainFile, leafFile] = ['root', 'chain', 'leaf'].map((name) =>
      join(folder, `${name}.pem`),
    )
    writeFileSync(rootFile!, encodePem('CERTIFICATE', root.der))
    writeFileSync(chainFile!, encodePem('CERTIFICATE', intermediate.der))
    writeFileSync(leafFile!, encodePem('CERTIFICATE', leaf.der))
    const at = String(NOW_MS / 1000)
    const files = ['-CAfile', rootFile!, '-untrusted', chainFile!, leafFile!]
    const run = spawnSync('openssl', [
      'verify',
      '-x509_strict',
      '-attime',
      at,
      '-purpose',
      'sslclient',
      ...files,
    ])
    assert.equal(run.status, 0, String(run.stderr))
  } finally {
    rmSync(folder, { recursive: true })
  }
})
