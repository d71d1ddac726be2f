import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'
import * as fc from 'fast-check'
import { concat } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import { createCsr, readCsr } from '../../src/pki/csr.ts'
import { CertificateError } from '../../src/pki/errors.ts'
import { decodePem, encodePem } from '../../src/pki/pem.ts'

const native = nativeCrypto()
const absent = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is absent'

test('readCsr reads what createCsr makes, for each kind of key and across providers', () => {
  const portable = portableCrypto()
  for (const kind of ['ec-p256', 'ec-p384', 'ed25519'] as const)
    for (const [maker, reader] of [
      [native, portable],
      [portable, native],
    ] as const) {
      const key = maker.generateKey(kind)
      const { publicKey, subject } = readCsr(createCsr(key), reader)
      assert.equal(publicKey.kind, kind)
      assert.deepEqual(publicKey.spki, key.publicKey.spki)
      assert.ok(subject.isEmpty)
    }
})

test('createCsr asks for no certificate that would not be given', () => {
  assert.throws(() => createCsr(native.generateKey('ec-p521')), { code: 'PKI_UNSUPPORTED' })
})

test('readCsr refuses a request that its key did not sign', () => {
  const csr = createCsr(native.generateKey('ec-p256'))
  const other = createCsr(native.generateKey('ec-p256'))
  // The two differ in key and signature alone, so their parts can be exchanged: 4 + 2 bytes of headers and the info.
  const info = csr.subarray(3, 3 + 2 + csr[4]!)
  const otherInfo = other.subarray(3, 3 + 2 + other[4]!)
  assert.equal(info.length, otherInfo.length)
  const exchanged = concat(csr.subarray(0, 3), otherInfo, csr.subarray(3 + info.length))
  assert.throws(() => readCsr(exchanged, native), {
    code: 'PKI_BAD_SIGNATURE',
    message: /not signed by the key/,
  })
})

test('readCsr, after any change of one byte, is refused', () => {
  const csr = createCsr(native.generateKey('ec-p256'))
  for (let i = 0; i < csr.length; i++) {
    const changed = csr.slice()
    changed[i]! ^= 0x04
    assert.throws(() => readCsr(changed, native), CertificateError, `byte ${i}`)
  }
  for (let length = 0; length < csr.length; length++)
    assert.throws(() => readCsr(csr.subarray(0, length), native), { code: 'PKI_REQUEST' })
  assert.throws(() => readCsr(new Uint8Array(8193), native), { code: 'PKI_REQUEST', message: /8193 bytes/ })
})

test('readCsr, given anything, throws a CertificateError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      assert.throws(() => readCsr(bytes, native), CertificateError)
    }),
  )
})

test('readCsr reads requests of OpenSSL, and refuses RSA and P-521', { skip: absent }, () => {
  const request = (...algorithm: readonly string[]): Uint8Array => {
    const names = ['-subj', '/CN=me', '-addext', 'subjectAltName=critical,URI:spiffe://shop.example/a']
    const run = spawnSync('openssl', [
      'req',
      '-new',
      '-nodes',
      '-keyout',
      '/dev/null',
      ...names,
      ...algorithm,
    ])
    assert.equal(run.status, 0, String(run.stderr))
    return decodePem(String(run.stdout), 'CERTIFICATE REQUEST')[0]!
  }
  const ec = (curve: string): Uint8Array => request('-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${curve}`)
  for (const csr of [ec('P-256'), ec('P-384'), request('-newkey', 'ed25519')])
    assert.equal(readCsr(csr, native).subject.text, 'CN=me')
  for (const csr of [ec('P-521'), request('-newkey', 'rsa:2048')])
    assert.throws(() => readCsr(csr, native), {
      code: 'PKI_UNSUPPORTED',
      message: /expected P-256, P-384 or Ed25519/,
    })
})

test('createCsr makes what OpenSSL verifies', { skip: absent }, () => {
  for (const kind of ['ec-p256', 'ec-p384', 'ed25519'] as const) {
    const input = encodePem('CERTIFICATE REQUEST', createCsr(native.generateKey(kind)))
    const run = spawnSync('openssl', ['req', '-verify', '-noout', '-subject'], { input })
    assert.equal(run.status, 0)
    assert.match(String(run.stderr), /verify OK/)
    assert.match(String(run.stdout), /^subject=\s*$/m)
  }
})
