import assert from 'node:assert/strict'
import { createECDH, createPrivateKey, type KeyObject } from 'node:crypto'

import { ml_kem1024, ml_kem768 } from '@noble/post-quantum/ml-kem.js'

import { concat } from '../../src/bytes/bytes.ts'
import { DER_INTEGER, DER_OCTET_STRING, DER_SEQUENCE, encodeElement } from '../../src/crypto/der.ts'
import { CryptoError } from '../../src/crypto/errors.ts'
import type { KemName } from '../../src/crypto/groups.ts'
import type { NistGroup } from '../../src/crypto/key-share.ts'
import * as native from '../../src/crypto/native-key-agreement.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import * as portable from '../../src/crypto/portable-key-agreement.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import { hex, testVectors, type Vector } from './wycheproof.ts'

interface DhVector extends Vector {
  readonly public: string
  readonly private: string
  readonly shared: string
}

interface KemVector extends Vector {
  readonly seed: string
  readonly dk: string
  readonly ek: string
  readonly c: string
  readonly K: string
}

type Secret = (privateKey: Uint8Array, peerShare: Uint8Array) => Uint8Array

const X25519: readonly (readonly [name: string, secret: Secret])[] = [
  [
    'native',
    (privateKey, peerShare) => {
      const key = { key: privateKey, format: 'raw-private', asymmetricKeyType: 'x25519' } as const
      return native.x25519Secret(createPrivateKey(key), peerShare)
    },
  ],
  ['portable', portable.x25519Secret],
]

for (const [name, secret] of X25519) {
  testVectors<DhVector>({
    name: `x25519Secret of ${name} agrees with the X25519 vectors`,
    file: 'x25519_test.json',
    // RFC 7748 wants twists and non-canonical coordinates accepted, and RFC 8446 a secret of zeros refused.
    expected: ({ flags }) => !flags?.includes('ZeroSharedSecret'),
    judge: (vector) => agrees(() => secret(hex(vector.private), hex(vector.public)), vector.shared),
  })
}

const ECDH: readonly (readonly [name: string, secret: (group: NistGroup) => Secret])[] = [
  [
    'native',
    (group) => (privateKey, peerShare) => {
      const ecdh = createECDH(group === 'secp256r1' ? 'prime256v1' : group)
      ecdh.setPrivateKey(privateKey)
      return native.ecdhSecret(group, ecdh, peerShare)
    },
  ],
  ['portable', (group) => (privateKey, peerShare) => portable.ecdhSecret(group, privateKey, peerShare)],
]

for (const [name, secretOf] of ECDH) {
  for (const [group, bytes] of [
    ['secp256r1', 32],
    ['secp384r1', 48],
    ['secp521r1', 66],
  ] as const) {
    const secret = secretOf(group)
    testVectors<DhVector>({
      name: `ecdhSecret of ${name} agrees with the ${group} vectors`,
      file: `ecdh_${group}_ecpoint_test.json`,
      // The acceptable ones are compressed points, which TLS 1.3 does not have (RFC 8446 §4.2.8.2).
      expected: ({ result }) => result === 'valid',
      judge: (vector) =>
        agrees(() => secret(scalar(vector.private, bytes), hex(vector.public)), vector.shared),
    })
  }
}

interface Decapsulation {
  readonly crypto: CryptoProvider
  readonly fromSeed: (kem: KemName, seed: string, ciphertext: Uint8Array) => Uint8Array
  readonly fromExpanded: (kem: KemName, key: string, ciphertext: Uint8Array) => Uint8Array
}

const ML_KEMS = { 'ml-kem-768': ml_kem768, 'ml-kem-1024': ml_kem1024 } as const

/** By each provider, from either form of a private key. */
const DECAPSULATIONS: readonly Decapsulation[] = [
  {
    crypto: nativeCrypto(),
    fromSeed: (kem, seed, ciphertext) => native.mlkemSecret(kem, keyFromSeed(kem, seed), ciphertext),
    fromExpanded: (kem, key, ciphertext) => native.mlkemSecret(kem, keyFromExpanded(kem, key), ciphertext),
  },
  {
    crypto: portableCrypto(),
    fromSeed: (kem, seed, ciphertext) =>
      portable.mlkemSecret(kem, ML_KEMS[kem].keygen(hex(seed)).secretKey, ciphertext),
    fromExpanded: (kem, key, ciphertext) => portable.mlkemSecret(kem, hex(key), ciphertext),
  },
]

for (const { crypto, fromSeed, fromExpanded } of DECAPSULATIONS) {
  for (const [group, kem, file] of [
    ['MLKEM768', 'ml-kem-768', 'mlkem_768'],
    ['MLKEM1024', 'ml-kem-1024', 'mlkem_1024'],
  ] as const) {
    testVectors<KemVector>({
      name: `mlkemSecret of ${crypto.name} agrees with the ${group} vectors from seeds`,
      file: `${file}_test.json`,
      judge: ({ seed, c, K }) => {
        if (seed.length !== 2 * 64) return { skipped: 'seeds never come from outside' }
        return agrees(() => fromSeed(kem, seed, hex(c)), K)
      },
    })

    testVectors<KemVector>({
      name: `mlkemSecret of ${crypto.name} agrees with the ${group} vectors with expanded keys`,
      file: `${file}_semi_expanded_decaps_test.json`,
      judge: ({ dk, c, K, flags }) => {
        if (
          flags?.some((flag) => flag.endsWith('DecapsulationKey') || flag.endsWith('DecapsulationKeyLength'))
        )
          return { skipped: 'private keys never come from outside' }
        return agrees(() => fromExpanded(kem, dk, hex(c)), K)
      },
    })

    testVectors<KemVector>({
      name: `answerKeyAgreement of ${crypto.name} encapsulates to the key pairs of the ${group} vectors`,
      file: `${file}_keygen_seed_test.json`,
      judge: ({ seed, dk, ek }) => {
        const { share, secret } = crypto.answerKeyAgreement(group, hex(ek))
        const expected = secret.toHex()
        return (
          agrees(() => fromSeed(kem, seed, share), expected) &&
          agrees(() => fromExpanded(kem, dk, share), expected)
        )
      },
    })

    testVectors<KemVector>({
      name: `answerKeyAgreement of ${crypto.name} takes exactly the valid encapsulation keys of the ${group} vectors`,
      // The provider draws the message m itself, so c and K of this file are out of reach.
      file: `${file}_encaps_test.json`,
      judge: ({ ek }) => unlessRefused(() => crypto.answerKeyAgreement(group, hex(ek))) !== undefined,
    })
  }

  testVectors<KemVector>({
    name: `answerKeyAgreement of ${crypto.name} takes exactly the valid keys in X25519MLKEM768 too`,
    file: 'mlkem_768_encaps_test.json',
    judge: ({ ek }) => {
      const share = concat(hex(ek), X25519_BASE_POINT)
      return unlessRefused(() => crypto.answerKeyAgreement('X25519MLKEM768', share)) !== undefined
    },
  })
}

/** A valid X25519 share, for where the other half is under test. */
const X25519_BASE_POINT = new Uint8Array(32).fill(9, 0, 1)

/** Whether `secret` accepts the peer's value; then it must come to `shared`. Refusing it is the only error allowed. */
function agrees(secret: () => Uint8Array, shared: string): boolean {
  const outcome = unlessRefused(secret)
  if (outcome === undefined) return false
  assert.equal(outcome.toHex(), shared)
  return true
}

/** The result of `calculate`, or nothing when the peer's value was refused. */
function unlessRefused<T>(calculate: () => T): T | undefined {
  try {
    return calculate()
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'CRYPTO_INVALID_KEY_SHARE') return undefined
    throw error
  }
}

/** The vectors write scalars as integers, with or without leading zeros. */
function scalar(text: string, bytes: number): Uint8Array {
  return hex(text.padStart(2 * bytes, '0').slice(-2 * bytes))
}

function keyFromSeed(kem: KemName, seed: string): KeyObject {
  return createPrivateKey({ key: hex(seed), format: 'raw-seed', asymmetricKeyType: kem })
}

/** id-alg-ml-kem-768 and -1024. */
const ML_KEM_OIDS = {
  'ml-kem-768': '0609608648016503040402',
  'ml-kem-1024': '0609608648016503040403',
} as const

/** Node imports no raw expanded keys, but those in PKCS#8 (draft-ietf-lamps-kyber-certificates §6). */
function keyFromExpanded(kem: KemName, expanded: string): KeyObject {
  const pkcs8 = encodeElement(
    DER_SEQUENCE,
    encodeElement(DER_INTEGER, Uint8Array.of(0)),
    encodeElement(DER_SEQUENCE, hex(ML_KEM_OIDS[kem])),
    encodeElement(DER_OCTET_STRING, encodeElement(DER_OCTET_STRING, hex(expanded))),
  )
  return createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' })
}
