import assert from 'node:assert/strict'
import { constants, generateKeyPairSync, privateEncrypt } from 'node:crypto'
import test from 'node:test'

import { concat, utf8 } from '../../src/bytes/bytes.ts'
import { decodeSpki, encodeRsaSpki } from '../../src/crypto/key-encoding.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import type { HashName } from '../../src/crypto/provider.ts'
import { PROVIDERS } from './implementations.ts'

const HASHES: readonly HashName[] = ['sha256', 'sha384', 'sha512']
const KINDS = ['rsa-pss', 'rsa-pkcs1'] as const
const INVALID_KEY = { name: 'CryptoError', code: 'CRYPTO_INVALID_KEY' }
const UNSUPPORTED = { name: 'CryptoError', code: 'CRYPTO_UNSUPPORTED' }

/** Odd sizes make the encoded message of PSS one byte shorter than the modulus, or its first byte a partial one. */
const KEYS = [1024, 1025, 1034, 2048].map((bits) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits })
  return { bits, privateKey, pkcs8: new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' })) }
})

test('verify of each provider accepts the RSA signatures of native, and no altered one', () => {
  for (const { bits, pkcs8 } of KEYS) {
    const key = nativeCrypto().importPrivateKey(pkcs8)
    for (const hash of HASHES) {
      for (const kind of KINDS) {
        // A PSS encoding with SHA-512 does not fit into 1,024 bits.
        if (kind === 'rsa-pss' && hash === 'sha512' && bits <= 1025) continue
        const message = utf8(`${kind} ${hash}`)
        const signature = key.sign({ kind, hash }, message)
        for (const crypto of PROVIDERS) {
          const publicKey = crypto.importPublicKey(key.publicKey.spki)
          const what = `${crypto.name} ${bits} ${kind} ${hash}`
          assert.equal(publicKey.bits, bits)
          assert.equal(publicKey.verify({ kind, hash }, message, signature), true, what)
          assert.equal(publicKey.verify({ kind, hash }, utf8('other'), signature), false, what)
          for (const other of HASHES.filter((other) => other !== hash))
            assert.equal(publicKey.verify({ kind, hash: other }, message, signature), false, what)
          const changed = Uint8Array.from(signature)
          changed[changed.length >> 1]! ^= 1
          for (const wrong of [
            changed,
            signature.subarray(1),
            concat(Uint8Array.of(0), signature),
            new Uint8Array(0),
          ])
            assert.equal(publicKey.verify({ kind, hash }, message, wrong), false, what)
        }
      }
    }
  }
})

test('verify of each provider compares the whole PKCS #1 v1.5 encoding', () => {
  const { privateKey, pkcs8 } = KEYS[3]!
  const message = utf8('strict')
  const hash = nativeCrypto().digest('sha256', message)
  const digestInfo = concat(Uint8Array.fromHex('3031300d060960864801650304020105000420'), hash)
  const withoutNull = concat(Uint8Array.fromHex('302f300b06096086480165030402010420'), hash)
  const padded = (type: number, fill: number, padding: number, ...rest: Uint8Array[]) =>
    concat(Uint8Array.of(0, type), new Uint8Array(padding).fill(fill), Uint8Array.of(0), ...rest)
  const encodings: readonly (readonly [string, Uint8Array, boolean])[] = [
    ['right', padded(1, 0xff, 256 - 3 - 51, digestInfo), true],
    ['garbage behind the hash', padded(1, 0xff, 8, digestInfo, new Uint8Array(256 - 11 - 51)), false],
    ['garbage within', padded(1, 0xff, 8, new Uint8Array(256 - 11 - 51), digestInfo), false],
    ['no NULL', padded(1, 0xff, 256 - 3 - 49, withoutNull), false],
    ['block type 2', padded(2, 0xff, 256 - 3 - 51, digestInfo), false],
    ['other padding', padded(1, 0xfe, 256 - 3 - 51, digestInfo), false],
    ['the bare hash', padded(1, 0xff, 256 - 3 - 32, hash), false],
  ]
  const { spki } = nativeCrypto().importPrivateKey(pkcs8).publicKey
  for (const [what, encoded, expected] of encodings) {
    const signature = privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, encoded)
    for (const crypto of PROVIDERS) {
      const verified = crypto
        .importPublicKey(spki)
        .verify({ kind: 'rsa-pkcs1', hash: 'sha256' }, message, new Uint8Array(signature))
      assert.equal(verified, expected, `${crypto.name}, ${what}`)
    }
  }
})

test('verify refuses a signature that is not below the modulus', () => {
  const { pkcs8 } = KEYS[3]!
  const key = nativeCrypto().importPrivateKey(pkcs8)
  const parts = decodeSpki(key.publicKey.spki)
  assert.ok(parts.kind === 'rsa')
  const { modulus } = parts
  const signature = key.sign({ kind: 'rsa-pkcs1', hash: 'sha256' }, utf8('m'))
  const sum = BigInt(`0x${modulus.toHex()}`) + BigInt(`0x${signature.toHex()}`)
  const text = sum.toString(16)
  const bigger = Uint8Array.fromHex(text.padStart(text.length + (text.length % 2), '0'))
  for (const crypto of PROVIDERS) {
    const publicKey = crypto.importPublicKey(key.publicKey.spki)
    for (const wrong of [bigger, modulus, new Uint8Array(256).fill(0xff)])
      assert.equal(publicKey.verify({ kind: 'rsa-pkcs1', hash: 'sha256' }, utf8('m'), wrong), false)
  }
})

test('sign with RSA is for native; portable reads the key, says so and writes it unchanged', () => {
  const { pkcs8 } = KEYS[3]!
  const key = portableCrypto().importPrivateKey(pkcs8)
  assert.equal(key.kind, 'rsa')
  assert.deepEqual(key.publicKey.spki, nativeCrypto().importPrivateKey(pkcs8).publicKey.spki)
  assert.deepEqual(key.exportPkcs8(), pkcs8)
  assert.deepEqual(nativeCrypto().importPrivateKey(pkcs8).exportPkcs8(), pkcs8)
  assert.throws(() => key.sign({ kind: 'rsa-pss', hash: 'sha256' }, new Uint8Array(1)), UNSUPPORTED)
})

test('sign and verify refuse an RSA key that is too small for the hash', () => {
  const key = nativeCrypto().importPrivateKey(KEYS[0]!.pkcs8)
  assert.throws(() => key.sign({ kind: 'rsa-pss', hash: 'sha512' }, new Uint8Array(1)), UNSUPPORTED)
  for (const crypto of PROVIDERS) {
    const publicKey = crypto.importPublicKey(key.publicKey.spki)
    assert.equal(
      publicKey.verify({ kind: 'rsa-pss', hash: 'sha512' }, new Uint8Array(1), new Uint8Array(128)),
      false,
    )
  }
})

test('importPublicKey refuses RSA keys of a size or with an exponent that it should not work with', () => {
  const modulus = (bits: number) => {
    const bytes = new Uint8Array(Math.ceil(bits / 8)).fill(0xff)
    bytes[0] = 0xff >> (8 * bytes.length - bits)
    return bytes
  }
  const f4 = Uint8Array.of(1, 0, 1)
  const spki = (n: Uint8Array, e: Uint8Array) => encodeRsaSpki({ kind: 'rsa', modulus: n, exponent: e })
  for (const crypto of PROVIDERS) {
    for (const bits of [1024, 8192]) assert.equal(crypto.importPublicKey(spki(modulus(bits), f4)).bits, bits)
    for (const bits of [8, 512, 1023, 8193, 16_384])
      assert.throws(() => crypto.importPublicKey(spki(modulus(bits), f4)), INVALID_KEY, `${bits} bits`)
    for (const e of [[], [1], [2], [1, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 1]])
      assert.throws(
        () => crypto.importPublicKey(spki(modulus(2048), Uint8Array.from(e))),
        INVALID_KEY,
        `e = ${e.join()}`,
      )
    const even = modulus(2048)
    even[255] = 0xfe
    assert.throws(() => crypto.importPublicKey(spki(even, f4)), INVALID_KEY)
  }
})
