import assert from 'node:assert/strict'
import test from 'node:test'
import { CertificateAuthority } from '../../src/ca/authority.ts'
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { memoryCa, MemoryCaStore, MemoryJournal, TRUST_DOMAIN, WEB } from '../support/memory-ca.ts'

const NOW_MS = Date.UTC(2026, 5, 1, 12)
const DAY_MS = 24 * 3600 * 1000
const YEAR_MS = 365 * DAY_MS
const crypto = nativeCrypto()
const CALLER = { id: WEB, proof: 'test' }

function open(
  store: MemoryCaStore,
  nowMs: number,
  trustDomain = TRUST_DOMAIN,
): Promise<CertificateAuthority> {
  const journal = new MemoryJournal()
  return CertificateAuthority.open(
    { store, journal, crypto, trustDomain, intermediateTtlMs: YEAR_MS },
    { nowMs },
  )
}

function serialOf(store: MemoryCaStore, slot: 'root' | 'intermediate'): string {
  return parseCertificate(store.held.get(slot)!.certificate).serialNumber
}

test('CertificateAuthority.open makes a root for 10 years and an intermediate, and finds them again', async () => {
  const store = new MemoryCaStore()
  const first = await open(store, NOW_MS)
  const root = parseCertificate(store.held.get('root')!.certificate)
  const intermediate = parseCertificate(store.held.get('intermediate')!.certificate)
  assert.equal(root.notAfterMs, NOW_MS + 10 * YEAR_MS)
  assert.equal(intermediate.notAfterMs, NOW_MS + YEAR_MS)
  assert.deepEqual(root.subjectAltNames.uris, ['spiffe://example.org'])
  assert.equal(intermediate.issuer.text, root.subject.text)

  const again = await open(store, NOW_MS + DAY_MS)
  assert.deepEqual(again.bundle.anchors[0]!.der, first.bundle.anchors[0]!.der)
  const { chain } = await again.issue(CALLER, createCsr(crypto.generateKey('ec-p256')), {
    nowMs: NOW_MS + DAY_MS,
  })
  assert.deepEqual(chain[1].der, intermediate.der)
})

test('CertificateAuthority.open goes on after a crash between the root and the intermediate', async () => {
  const store = new MemoryCaStore()
  await open(store, NOW_MS)
  const root = serialOf(store, 'root')
  store.held.delete('intermediate')
  await open(store, NOW_MS)
  assert.equal(serialOf(store, 'root'), root)
  assert.ok(store.held.has('intermediate'))
})

test('CertificateAuthority.open does not replace a root that was lost', async () => {
  const store = new MemoryCaStore()
  await open(store, NOW_MS)
  store.held.delete('root')
  await assert.rejects(open(store, NOW_MS), { code: 'CA_STORE_CORRUPT', message: /restore the root/ })
  assert.ok(!store.held.has('root'))
})

test('CertificateAuthority.open refuses a key that is not the one of its certificate', async () => {
  for (const slot of ['root', 'intermediate'] as const) {
    const store = new MemoryCaStore()
    await open(store, NOW_MS)
    const { certificate } = store.held.get(slot)!
    store.held.set(slot, { certificate, privateKey: crypto.generateKey('ec-p256').exportPkcs8() })
    await assert.rejects(open(store, NOW_MS), {
      code: 'CA_STORE_CORRUPT',
      message: `The stored key of the ${slot} is not the key of its certificate`,
    })
  }
})

test('CertificateAuthority.open refuses what it cannot read', async () => {
  for (const part of ['certificate', 'privateKey'] as const) {
    const store = new MemoryCaStore()
    await open(store, NOW_MS)
    store.held.set('root', { ...store.held.get('root')!, [part]: Uint8Array.of(0x30, 0x01) })
    await assert.rejects(open(store, NOW_MS), {
      code: 'CA_STORE_CORRUPT',
      message: /stored root is not readable/,
    })
  }
})

test('CertificateAuthority.open refuses a root that has expired or is not yet valid', async () => {
  const store = new MemoryCaStore()
  await open(store, NOW_MS)
  for (const nowMs of [NOW_MS + 10 * YEAR_MS + 1000, NOW_MS - DAY_MS])
    await assert.rejects(open(store, nowMs), { code: 'CA_STORE_EXPIRED', message: /stored root/ })
})

test('CertificateAuthority.open refuses an intermediate of another root', async () => {
  const store = new MemoryCaStore()
  const other = new MemoryCaStore()
  await open(store, NOW_MS)
  await open(other, NOW_MS)
  store.held.set('intermediate', other.held.get('intermediate')!)
  await assert.rejects(open(store, NOW_MS), { code: 'CA_STORE_CORRUPT', message: /stored intermediate/ })
})

test('CertificateAuthority.open refuses a store of another trust domain', async () => {
  const store = new MemoryCaStore()
  await open(store, NOW_MS)
  await assert.rejects(open(store, NOW_MS, 'other.example'), {
    code: 'CA_STORE_TRUST_DOMAIN',
    message: 'The stored root is of spiffe://example.org, expected spiffe://other.example',
  })
})

test('CertificateAuthority.maintain replaces an intermediate in the last third of its life, under the same root', async () => {
  const store = new MemoryCaStore()
  const authority = await open(store, NOW_MS)
  const before = serialOf(store, 'intermediate')
  await authority.maintain(NOW_MS + YEAR_MS * 0.6)
  assert.equal(serialOf(store, 'intermediate'), before)
  const lateMs = NOW_MS + YEAR_MS * 0.7
  await authority.maintain(lateMs)
  assert.notEqual(serialOf(store, 'intermediate'), before)
  const { chain } = await authority.issue(CALLER, createCsr(crypto.generateKey('ec-p256')), { nowMs: lateMs })
  assert.equal(chain[1].serialNumber, serialOf(store, 'intermediate'))
})

test('CertificateAuthority.open replaces an intermediate that has expired', async () => {
  const store = new MemoryCaStore()
  await open(store, NOW_MS)
  const lateMs = NOW_MS + 2 * YEAR_MS
  const authority = await open(store, lateMs)
  const { expiresAtMs } = await authority.issue(CALLER, createCsr(crypto.generateKey('ec-p256')), {
    nowMs: lateMs,
  })
  assert.equal(expiresAtMs, lateMs + 3600 * 1000)
})

test('CertificateAuthority.issue lets no certificate outlive the intermediate', async () => {
  const { authority, store } = await memoryCa(NOW_MS)
  const endMs = parseCertificate(store.held.get('intermediate')!.certificate).notAfterMs
  const csr = createCsr(crypto.generateKey('ec-p256'))
  const { expiresAtMs } = await authority.issue(CALLER, csr, { nowMs: endMs - 60_000 })
  assert.equal(expiresAtMs, endMs)
  await assert.rejects(authority.issue(CALLER, csr, { nowMs: endMs + 1 }), {
    code: 'CA_INTERMEDIATE_VALIDITY',
  })
})

test('CertificateAuthority.issue refuses when the clock has gone back before its own beginning', async () => {
  const { authority, journal } = await memoryCa(NOW_MS)
  const csr = createCsr(crypto.generateKey('ec-p256'))
  const beforeMs = NOW_MS - 6 * 60 * 1000
  await assert.rejects(authority.issue(CALLER, csr, { nowMs: beforeMs }), {
    code: 'CA_INTERMEDIATE_VALIDITY',
  })
  assert.deepEqual(journal.entries, [])
})

test('CertificateAuthority.issue hands out nothing that our own verifier refuses', async () => {
  const { authority, journal } = await memoryCa(NOW_MS, { crypto: finding(WEB.toString(), crypto) })
  const csr = createCsr(crypto.generateKey('ec-p256'))
  await assert.rejects(authority.issue(CALLER, csr, { nowMs: NOW_MS }), {
    code: 'CA_ISSUED_INVALID',
    message: /refused by our own verifier/,
  })
  assert.deepEqual(journal.entries, [])
})

/** A provider that takes the signature over whatever contains `name` for a wrong one. */
function finding(name: string, provider: CryptoProvider): CryptoProvider {
  return {
    ...provider,
    importPublicKey(spki) {
      const key = provider.importPublicKey(spki)
      return {
        kind: key.kind,
        spki: key.spki,
        bits: key.bits,
        verify: (parameters, message, signature) =>
          !Buffer.from(message).includes(name) && key.verify(parameters, message, signature),
      }
    },
  }
}
