import assert from 'node:assert/strict'
import test from 'node:test'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import { CertificateMemory } from '../../src/pki/certificate-memory.ts'
import { parseCertificate, type Certificate } from '../../src/pki/certificate.ts'
import { CertificateError, type PkiErrorCode } from '../../src/pki/errors.ts'
import { encodeNameConstraints } from '../../src/pki/name-constraints-encoding.ts'
import { Oid } from '../../src/pki/oid.ts'
import type { PathOptions } from '../../src/pki/path.ts'
import { mintIntermediate, mintRoot, mintSvid } from '../support/certificates.ts'

const NOW_MS = Date.UTC(2026, 5, 1)
const HOUR_MS = 3_600_000
const now = { nowMs: NOW_MS }
const root = await mintRoot(now)
const intermediate = await mintIntermediate(root, now)
const svid = await mintSvid(intermediate, undefined, now)

/** A provider that counts the signatures that it checks. */
function counting(): { readonly crypto: CryptoProvider; readonly count: () => number } {
  let checks = 0
  const crypto: CryptoProvider = {
    ...nativeCrypto(),
    importPublicKey(spki) {
      const key = nativeCrypto().importPublicKey(spki)
      return { ...key, kind: key.kind, verify: (...input) => (checks++, key.verify(...input)) }
    },
  }
  return { crypto, count: () => checks }
}

/** A memory, and how many signatures each question to it takes. */
function asking(memory = new CertificateMemory()) {
  const { crypto, count } = counting()
  const anchors = [root.certificate]
  return (chain: readonly Certificate[] = svid.chain, overrides: Partial<PathOptions> = {}): number => {
    const before = count()
    memory.validate(chain, { anchors, crypto, nowMs: NOW_MS, usage: 'clientAuth', ...overrides })
    return count() - before
  }
}

function refuses(act: () => unknown, code: PkiErrorCode): void {
  assert.throws(act, (error) => error instanceof CertificateError && error.code === code)
}

test('CertificateMemory verifies a chain once, and knows equal bytes again', () => {
  const ask = asking()
  assert.equal(ask(), 2)
  assert.equal(ask(), 0)
  assert.equal(ask(svid.chain.map(({ der }) => parseCertificate(der.slice()))), 0)
})

test('CertificateMemory keeps nothing of the bytes that it is given, which may be wiped', () => {
  const given = svid.certificate.der.slice()
  const read = new CertificateMemory().read(given)
  given.fill(0)
  assert.deepEqual(read.der, svid.certificate.der)
})

test('CertificateMemory yields the path that validatePath found', () => {
  const memory = new CertificateMemory()
  const options = { anchors: [root.certificate], crypto: nativeCrypto(), nowMs: NOW_MS, usage: undefined }
  const first = memory.validate(svid.chain, options)
  const again = memory.validate(svid.chain, options)
  assert.deepEqual(again, { path: first.path, expiresAtMs: svid.certificate.notAfterMs })
  assert.deepEqual(again.path, [...svid.chain, root.certificate])
})

test('CertificateMemory refuses a chain that has expired since, and one that is not valid yet when the clock goes back', () => {
  const ask = asking()
  ask()
  refuses(() => ask(undefined, { nowMs: NOW_MS + 2 * HOUR_MS }), 'PKI_EXPIRED')
  assert.equal(ask(), 2, 'what failed by the clock is verified anew')
  refuses(() => ask(undefined, { nowMs: NOW_MS - HOUR_MS }), 'PKI_NOT_YET_VALID')
  assert.throws(() => ask(undefined, { nowMs: Number.NaN }), TypeError)
})

test('CertificateMemory refuses a chain whose intermediate expires before its leaf', async () => {
  const short = await mintIntermediate(root, { ...now, notAfterMs: NOW_MS + HOUR_MS / 2 })
  const { chain } = await mintSvid(short, undefined, now)
  const ask = asking()
  ask(chain)
  assert.equal(ask(chain), 0)
  refuses(() => ask(chain, { nowMs: NOW_MS + HOUR_MS / 2 + 1000 }), 'PKI_EXPIRED')
})

test('CertificateMemory verifies anew when the anchors have changed, and refuses when the root is gone', async () => {
  const other = await mintRoot({ ...now, commonName: 'other' })
  const ask = asking()
  ask()
  refuses(() => ask(undefined, { anchors: [other.certificate] }), 'PKI_UNKNOWN_ISSUER')
  refuses(() => ask(undefined, { anchors: [] }), 'PKI_UNKNOWN_ISSUER')
  assert.equal(ask(undefined, { anchors: [root.certificate, other.certificate] }), 2)
  assert.equal(ask(undefined, { anchors: [root.certificate] }), 2)
})

test('CertificateMemory is not misled by a list of anchors that is changed in place', () => {
  const anchors = [root.certificate]
  const ask = asking()
  ask(undefined, { anchors })
  anchors.pop()
  refuses(() => ask(undefined, { anchors }), 'PKI_UNKNOWN_ISSUER')
})

test('CertificateMemory holds a chain to the name constraints of the anchor that is trusted now', async () => {
  const constraints = encodeNameConstraints({ permittedUris: ['elsewhere.example'] })
  const constrained = await mintRoot({
    ...now,
    key: root.key,
    extensions: [{ oid: Oid.nameConstraints, critical: true, value: constraints }],
  })
  const ask = asking()
  ask()
  refuses(() => ask(undefined, { anchors: [constrained.certificate] }), 'PKI_NAME_CONSTRAINT')
})

test('CertificateMemory asks anew for another use, and for other limits', async () => {
  const { chain } = await mintSvid(intermediate, undefined, { ...now, extendedKeyUsage: [Oid.clientAuth] })
  const ask = asking()
  ask(chain)
  refuses(() => ask(chain, { usage: 'serverAuth' }), 'PKI_EXTENDED_KEY_USAGE')
  refuses(() => ask(chain, { maxIntermediates: 0 }), 'PKI_PATH_LENGTH')
  assert.equal(ask(chain, { usage: undefined }), 2)
  assert.equal(ask(chain), 0)
})

test('CertificateMemory asks every provider for itself', () => {
  const memory = new CertificateMemory()
  assert.equal(asking(memory)(), 2)
  assert.equal(asking(memory)(), 2)
})

test('CertificateMemory remembers no refusal', () => {
  const ask = asking()
  refuses(() => ask(undefined, { anchors: [] }), 'PKI_UNKNOWN_ISSUER')
  assert.equal(ask(), 2)
})

test('CertificateMemory does not take an altered chain, or a part of one, for the one it knows', async () => {
  const ask = asking()
  ask()
  const altered = svid.certificate.der.slice()
  altered[altered.length - 1]! ^= 1
  refuses(() => ask([parseCertificate(altered), ...svid.chain.slice(1)]), 'PKI_BAD_SIGNATURE')
  refuses(() => ask([svid.certificate]), 'PKI_UNKNOWN_ISSUER')
})

test('CertificateMemory forgets the path that was used least recently', async () => {
  const ask = asking(new CertificateMemory(2))
  const others = await Promise.all([1, 2].map(() => mintSvid(intermediate, undefined, now)))
  ask()
  ask(others[0]!.chain)
  assert.equal(ask(), 0)
  ask(others[1]!.chain)
  assert.equal(ask(), 0, 'it was used since')
  assert.equal(ask(others[0]!.chain), 2)
})

test('CertificateMemory reads a certificate once, into memory of its own', () => {
  const memory = new CertificateMemory()
  const message = new Uint8Array([0, ...svid.certificate.der, 0])
  const first = memory.read(message.subarray(1, -1))
  assert.deepEqual(first, parseCertificate(svid.certificate.der))
  assert.equal(memory.read(svid.certificate.der), first)
  message.fill(0)
  assert.deepEqual(first.der, svid.certificate.der)
  const altered = svid.certificate.der.slice()
  altered[altered.length - 1]! ^= 1
  assert.notEqual(memory.read(altered), first)
})

test('CertificateMemory keeps no long certificate, and no more than it may', async () => {
  const memory = new CertificateMemory(1)
  const extensions = [{ oid: '1.3.6.1.4.1.99999.2', critical: false, value: new Uint8Array(8192) }]
  const { certificate: long } = await mintSvid(intermediate, undefined, { ...now, extensions })
  assert.notEqual(memory.read(long.der), memory.read(long.der))
  const first = memory.read(svid.certificate.der)
  memory.read(root.certificate.der)
  assert.notEqual(memory.read(svid.certificate.der), first)
})

test('CertificateMemory throws what parseCertificate throws, each time', () => {
  const memory = new CertificateMemory()
  for (let attempt = 0; attempt < 2; attempt++)
    refuses(() => memory.read(Uint8Array.of(0x30, 1)), 'PKI_MALFORMED')
})
