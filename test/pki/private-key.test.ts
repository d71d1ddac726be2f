import assert from 'node:assert/strict'
import test from 'node:test'
import { encodeElement } from '../../src/crypto/der.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import { DerReader, Tag } from '../../src/pki/der.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { checkKeyMatch, decodePrivateKeyPem, encodePrivateKeyPem } from '../../src/pki/private-key.ts'
import { mintRoot } from '../support/certificates.ts'

/** testECCP256 of RFC 9500 §2.3: everybody's key, nobody's secret. */
const SEC1 = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIObLW92AqkWunJXowVR2Z5/+yVPBaFHnEedDk5WJxk/BoAoGCCqGSM49
AwEHoUQDQgAEQiVI+I+3gv+17KN0RFLHKh5Vj71vc75eSOkyMsxFxbFsTNEMTLjV
uKFxOelIgsiZJXKZNCX0FBmrfpCkKklCcg==
-----END EC PRIVATE KEY-----
`
const PUBLIC_POINT = '04422548f88fb782ffb5eca3744452c72a1e558fbd6f73be5e48e93232cc45c5b1'
const MESSAGE = Uint8Array.of(1, 2, 3)

const providers = [nativeCrypto(), portableCrypto()]

test('decodePrivateKeyPem reads back what encodePrivateKeyPem writes, for every kind of key', () => {
  for (const crypto of providers)
    for (const kind of [
      'ec-p256',
      'ec-p384',
      'ec-p521',
      'ed25519',
      'ml-dsa-44',
      'ml-dsa-65',
      'ml-dsa-87',
    ] as const) {
      const key = crypto.generateKey(kind)
      const text = encodePrivateKeyPem(key)
      assert.match(text, /^-----BEGIN PRIVATE KEY-----\n/)
      const again = decodePrivateKeyPem(text, crypto)
      assert.equal(again.kind, kind)
      assert.deepEqual(again.publicKey.spki, key.publicKey.spki)
    }
})

test('decodePrivateKeyPem reads SEC 1 keys, beside EC PARAMETERS and certificates', async () => {
  const { certificate } = await mintRoot()
  const parameters = encodePem('EC PARAMETERS', Uint8Array.fromHex('06082a8648ce3d030107'))
  for (const crypto of providers)
    for (const text of [SEC1, parameters + SEC1 + encodePem('CERTIFICATE', certificate.der)]) {
      const key = decodePrivateKeyPem(text, crypto)
      assert.equal(key.kind, 'ec-p256')
      assert.ok(key.publicKey.spki.toHex().includes(PUBLIC_POINT))
      const signature = key.sign({ kind: 'ecdsa', hash: 'sha256' }, MESSAGE)
      assert.ok(key.publicKey.verify({ kind: 'ecdsa', hash: 'sha256' }, MESSAGE, signature))
    }
})

test('decodePrivateKeyPem reads PKCS#1 keys, and refuses RSA keys that are too short', async () => {
  const { pkcs1, spki } = await rsaKey(2048)
  const key = decodePrivateKeyPem(encodePem('RSA PRIVATE KEY', pkcs1), nativeCrypto())
  assert.equal(key.kind, 'rsa')
  assert.deepEqual(key.publicKey.spki, spki)
  const short = await rsaKey(1024)
  assert.throws(() => decodePrivateKeyPem(encodePem('RSA PRIVATE KEY', short.pkcs1), nativeCrypto()), {
    code: 'PKI_WEAK_KEY',
  })
})

test('decodePrivateKeyPem refuses encrypted keys with advice, in both forms', () => {
  const crypto = nativeCrypto()
  const modern = encodePem('ENCRYPTED PRIVATE KEY', Uint8Array.of(0x30, 0))
  const old =
    '-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAQID\n-----END EC PRIVATE KEY-----\n'
  for (const text of [modern, old])
    assert.throws(() => decodePrivateKeyPem(text, crypto), {
      code: 'PKI_ENCRYPTED_KEY',
      message: /openssl pkey/,
    })
})

test('decodePrivateKeyPem wants exactly one key, of a form it knows', () => {
  const crypto = nativeCrypto()
  assert.throws(() => decodePrivateKeyPem(SEC1 + SEC1, crypto), {
    code: 'PKI_PEM',
    message: /one private key/,
  })
  assert.throws(() => decodePrivateKeyPem('', crypto), { code: 'PKI_PEM', message: /no PEM at all/ })
  assert.throws(() => decodePrivateKeyPem(encodePem('CERTIFICATE', MESSAGE), crypto), {
    code: 'PKI_PEM',
    message: /holds CERTIFICATE/,
  })
  assert.throws(() => decodePrivateKeyPem(encodePem('DSA PRIVATE KEY', MESSAGE), crypto), {
    code: 'PKI_UNSUPPORTED',
  })
})

test('decodePrivateKeyPem refuses broken keys with a CertificateError', () => {
  const body = Uint8Array.fromBase64(SEC1.replaceAll(/-----.*-----|\n/g, ''))
  for (const crypto of providers) {
    for (const label of ['PRIVATE KEY', 'EC PRIVATE KEY', 'RSA PRIVATE KEY'])
      for (const der of [new Uint8Array(), MESSAGE, body.subarray(0, 60)])
        assert.throws(
          () => decodePrivateKeyPem(encodePem(label, der), crypto),
          { code: 'PKI_MALFORMED' },
          label,
        )
    const nameless = encodeElement(Tag.sequence, Uint8Array.fromHex('020101'), body.subarray(5, 39))
    assert.throws(() => decodePrivateKeyPem(encodePem('EC PRIVATE KEY', nameless), crypto), {
      message: /curve is not known/,
    })
  }
})

test('checkKeyMatch tells a key from another', async () => {
  const root = await mintRoot()
  checkKeyMatch(root.certificate, root.key)
  assert.throws(() => checkKeyMatch(root.certificate, nativeCrypto().generateKey('ec-p256')), {
    code: 'PKI_KEY_MISMATCH',
    certificate: root.certificate,
  })
})

async function rsaKey(modulusLength: number): Promise<{ pkcs1: Uint8Array; spki: Uint8Array }> {
  const algorithm = {
    name: 'RSA-PSS',
    modulusLength,
    publicExponent: Uint8Array.of(1, 0, 1),
    hash: 'SHA-256',
  }
  const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey))
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey))
  const pkcs1 = DerReader.readAll(pkcs8, 'pkcs8', (whole) =>
    whole.sequence('key', (key) => {
      key.integer('version')
      key.any('algorithm')
      return key.octetString('privateKey')
    }),
  )
  return { pkcs1, spki }
}
