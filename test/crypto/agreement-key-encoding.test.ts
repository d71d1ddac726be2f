import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import test from 'node:test'
import { decodeAgreementKey, encodeAgreementKey } from '../../src/crypto/agreement-key-encoding.ts'
import { CryptoError } from '../../src/crypto/errors.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'

const crypto = nativeCrypto()
const KINDS = [
  ['x25519', () => generateKeyPairSync('x25519')],
  ['secp256r1', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
] as const

for (const [group, generate] of KINDS) {
  test(`decodeAgreementKey reads a ${group} key that OpenSSL wrote, and OpenSSL one of encodeAgreementKey`, () => {
    const { privateKey } = generate()
    const parts = decodeAgreementKey(privateKey.export({ format: 'der', type: 'pkcs8' }))
    assert.equal(parts.group, group)
    const again = createPrivateKey({
      key: Buffer.from(encodeAgreementKey(parts)),
      format: 'der',
      type: 'pkcs8',
    })
    assert.ok(again.equals(privateKey))
    assert.deepEqual(decodeAgreementKey(encodeAgreementKey(parts)), parts)
    assert.equal(crypto.importKeyAgreementKey(group, parts.scalar).group, group)
  })

  test(`decodeAgreementKey refuses a ${group} key cut anywhere`, () => {
    const whole = encodeAgreementKey({ group, scalar: new Uint8Array(32).fill(7) })
    for (let length = 0; length < whole.length; length++)
      assert.throws(() => decodeAgreementKey(whole.subarray(0, length)), CryptoError)
  })
}

test('decodeAgreementKey refuses keys that sign', () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  assert.throws(
    () => decodeAgreementKey(privateKey.export({ format: 'der', type: 'pkcs8' })),
    (error: unknown) => error instanceof CryptoError && error.code === 'CRYPTO_UNSUPPORTED',
  )
})
