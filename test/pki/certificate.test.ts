import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { concat } from '../../src/bytes/bytes.ts'
import { DER_BIT_STRING, DER_SEQUENCE, encodeElement } from '../../src/crypto/der.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { parseSubjectPublicKey } from '../../src/pki/algorithms.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import type { Extension } from '../../src/pki/certificate.ts'
import { CertificateError } from '../../src/pki/errors.ts'
import { Oid } from '../../src/pki/oid.ts'
import { mintIntermediate, mintLeaf, mintRoot, mintSvid, UNKNOWN_CRITICAL } from '../support/certificates.ts'

const NOW_MS = Date.UTC(2026, 5, 1)
const options = { nowMs: NOW_MS }
const root = await mintRoot(options)
const intermediate = await mintIntermediate(root, options)
const svid = await mintSvid(intermediate, 'spiffe://shop.example/ns/shop/sa/web', options)
const leaf = await mintLeaf(intermediate, options)

test('parseCertificate reads every field of an SVID', () => {
  const { certificate } = svid
  assert.equal(certificate.subject.text, '')
  assert.ok(certificate.subject.isEmpty)
  assert.equal(certificate.issuer.text, 'CN=shop.example intermediate')
  assert.ok(certificate.issuer.equals(intermediate.certificate.subject))
  assert.equal(certificate.notBeforeMs, NOW_MS - 300_000)
  assert.equal(certificate.notAfterMs, NOW_MS + 3_600_000)
  assert.match(certificate.serialNumber, /^[4-7][0-9a-f]{31}$/)
  assert.deepEqual(certificate.publicKey.spki, svid.key.publicKey.spki)
  assert.equal(certificate.publicKey.kind, 'ec-p256')
  assert.equal(certificate.publicKey.bits, 256)
  assert.deepEqual(certificate.signature.parameters, { kind: 'ecdsa', hash: 'sha256' })
  assert.deepEqual(certificate.basicConstraints, { critical: true, ca: false })
  assert.deepEqual(certificate.keyUsage, { critical: true, usages: ['digitalSignature'] })
  assert.deepEqual(certificate.extendedKeyUsage?.purposes, [Oid.serverAuth, Oid.clientAuth])
  assert.equal(certificate.subjectAltNames.critical, true)
  assert.deepEqual(certificate.subjectAltNames.uris, ['spiffe://shop.example/ns/shop/sa/web'])
  assert.deepEqual(
    certificate.authorityKeyIdentifier?.keyIdentifier,
    intermediate.certificate.subjectKeyIdentifier,
  )
  assert.deepEqual(certificate.unknownCriticalExtensions, [])
  assert.ok(
    intermediate.key.publicKey.verify(
      certificate.signature.parameters,
      certificate.tbs,
      certificate.signature.bytes,
    ),
  )
})

test('parseCertificate reads authorities and leaves with host names', () => {
  assert.deepEqual(intermediate.certificate.basicConstraints, { critical: true, ca: true, pathLength: 0 })
  assert.deepEqual(intermediate.certificate.keyUsage?.usages, ['keyCertSign', 'cRLSign'])
  assert.deepEqual(leaf.certificate.subjectAltNames.dnsNames, ['localhost'])
  assert.deepEqual(leaf.certificate.subjectAltNames.ipAddresses.map(String), [
    '127,0,0,1',
    '0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1',
  ])
  assert.equal(leaf.certificate.subjectAltNames.critical, false)
})

test('parseCertificate lists unknown critical extensions and leaves others alone', async () => {
  const harmless = { ...UNKNOWN_CRITICAL, oid: '1.3.6.1.4.1.99999.2', critical: false }
  const { certificate } = await mintSvid(intermediate, undefined, {
    extensions: [UNKNOWN_CRITICAL, harmless],
  })
  assert.deepEqual(certificate.unknownCriticalExtensions, [UNKNOWN_CRITICAL.oid])
  assert.ok(certificate.extensions.some(({ oid }) => oid === harmless.oid))
})

test('parseCertificate refuses extensions that occur twice', async () => {
  await assert.rejects(
    mintSvid(intermediate, undefined, { extensions: [UNKNOWN_CRITICAL, UNKNOWN_CRITICAL] }),
    {
      code: 'PKI_MALFORMED',
      message: /1\.3\.6\.1\.4\.1\.99999\.1 occurs twice/,
    },
  )
})

test('parseCertificate refuses extensions that are not what their names say', async () => {
  const wrong: readonly (readonly [string, string, RegExp])[] = [
    [Oid.authorityInfoAccess, '3000', /empty list/],
    [Oid.nameConstraints, '3000', /constrains nothing/],
    [Oid.nameConstraints, '3005a0033001a0', /ends before|announces/],
  ]
  for (const [oid, hex, message] of wrong) {
    const extension: Extension = { oid, critical: false, value: Uint8Array.fromHex(hex) }
    await assert.rejects(mintSvid(intermediate, undefined, { extensions: [extension] }), {
      code: 'PKI_MALFORMED',
      message,
    })
  }
})

test('parseCertificate refuses a keyUsage without usages, and bad alternative names', async () => {
  const broken = async (oid: string, hex: string, without: 'keyUsage' | 'uris'): Promise<void> => {
    const extension: Extension = { oid, critical: true, value: Uint8Array.fromHex(hex) }
    await mintSvid(intermediate, undefined, { without: [without], extensions: [extension] })
  }
  await assert.rejects(broken(Oid.keyUsage, '03020700', 'keyUsage'), { message: /sets no usage/ })
  await assert.rejects(broken(Oid.subjectAltName, '3000', 'uris'), { message: /empty list/ })
  await assert.rejects(broken(Oid.subjectAltName, '300587037f0001', 'uris'), {
    message: /has 3 bytes, expected 4 or 16/,
  })
  await assert.rejects(broken(Oid.subjectAltName, '3003890100', 'uris'), { message: /no known kind/ })
  await assert.rejects(broken(Oid.subjectAltName, '300486026100', 'uris'), { message: /not ASCII/ })
})

test('parseCertificate refuses versions before 3, and what is longer than any certificate', () => {
  const der = svid.certificate.der
  const version = der.findIndex((_, i) => der.subarray(i, i + 5).toHex() === 'a003020102')
  const second = der.slice()
  second[version + 4] = 1
  assert.throws(() => parseCertificate(second), { code: 'PKI_UNSUPPORTED', message: /version 2, expected 3/ })
  assert.throws(() => parseCertificate(new Uint8Array(65_537)), { code: 'PKI_LIMIT' })
})

test('parseCertificate refuses signature algorithms that differ inside and outside', () => {
  const der = svid.certificate.der.slice()
  const oid = '06082a8648ce3d040302'
  const last = der.toHex().lastIndexOf(oid) / 2
  der[last + 9] = 3
  assert.throws(() => parseCertificate(der), {
    code: 'PKI_MALFORMED',
    message: /differs from tbsCertificate/,
  })
})

test('parseCertificate refuses ML-DSA keys with parameters or of another length (RFC 9881 §4)', async () => {
  for (const kind of ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const) {
    const { certificate } = await mintRoot({ key: nativeCrypto().generateKey(kind) })
    const { spki } = certificate.publicKey
    assert.equal(certificate.publicKey.kind, kind)
    const key = spki.subarray(-certificate.publicKey.bytes.length)
    const algorithm = spki.subarray(6, 17)
    const keyOf = (algorithmParts: readonly Uint8Array[], bytes: Uint8Array): Uint8Array =>
      encodeElement(
        DER_SEQUENCE,
        encodeElement(DER_SEQUENCE, ...algorithmParts),
        encodeElement(DER_BIT_STRING, Uint8Array.of(0), bytes),
      )
    assert.deepEqual(keyOf([algorithm], key), spki)
    for (const wrong of [
      keyOf([algorithm, Uint8Array.of(5, 0)], key),
      keyOf([algorithm], key.subarray(1)),
      keyOf([algorithm], new Uint8Array(key.length + 1)),
    ])
      assert.throws(() => parseSubjectPublicKey(wrong), {
        code: 'PKI_MALFORMED',
        message: new RegExp(`an ${kind} key`),
      })
  }
})

test('parseCertificate refuses every truncation and every appended byte', () => {
  const { der } = svid.certificate
  for (let length = 0; length < der.length; length++)
    assert.throws(() => parseCertificate(der.subarray(0, length)), { code: 'PKI_MALFORMED' }, `at ${length}`)
  assert.throws(() => parseCertificate(concat(der, Uint8Array.of(0))), { code: 'PKI_MALFORMED' })
})

test('parseCertificate, after any change of one byte, reads the certificate or throws a CertificateError', () => {
  for (const { certificate } of [svid, leaf, intermediate]) {
    const { der } = certificate
    for (let i = 0; i < der.length; i++) {
      const original = der[i]!
      for (const value of [original ^ 0x01, original ^ 0x80, original ^ 0xff, 0x00, 0xff, 0x30]) {
        const changed = der.slice()
        changed[i] = value
        readOrRefuse(changed)
      }
    }
  }
})

test('parseCertificate, given anything, reads it or throws a CertificateError', () => {
  const { der } = leaf.certificate
  const spliced = fc.record({
    at: fc.nat(der.length),
    cut: fc.nat(40),
    insert: fc.uint8Array({ maxLength: 40 }),
  })
  fc.assert(
    fc.property(fc.array(spliced, { minLength: 1, maxLength: 3 }), (splices) => {
      let bytes = der
      for (const { at, cut, insert } of splices)
        bytes = concat(bytes.subarray(0, at), insert, bytes.subarray(at + cut))
      readOrRefuse(bytes)
    }),
    { numRuns: 500 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => readOrRefuse(encodeElement(0x30, bytes))),
  )
})

/** Names are rendered too: whatever parses must be showable. */
function readOrRefuse(der: Uint8Array): void {
  try {
    const { subject, issuer } = parseCertificate(der)
    assert.equal(typeof subject.text + typeof issuer.text, 'stringstring')
  } catch (error) {
    assert.ok(error instanceof CertificateError, `threw ${String(error)}`)
  }
}
