import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import test from 'node:test'

import * as fc from 'fast-check'

import { concat } from '../../src/bytes/bytes.ts'
import { encodeElement } from '../../src/crypto/der.ts'
import { CryptoError } from '../../src/crypto/errors.ts'
import {
  decodeSpki,
  EC_FIELD_BYTES,
  type EcKind,
  encodeRsaSpki,
  encodeSpki,
} from '../../src/crypto/key-encoding.ts'
import { decodePkcs8, encodePkcs8 } from '../../src/crypto/pkcs8.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'

const INVALID_KEY = { name: 'CryptoError', code: 'CRYPTO_INVALID_KEY' }
const UNSUPPORTED = { name: 'CryptoError', code: 'CRYPTO_UNSUPPORTED' }

const EC_KINDS = Object.keys(EC_FIELD_BYTES) as EcKind[]

const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 })
const RSA_SPKI = new Uint8Array(rsa.publicKey.export({ format: 'der', type: 'spki' }))
const RSA_PKCS8 = new Uint8Array(rsa.privateKey.export({ format: 'der', type: 'pkcs8' }))

/** One of each, as OpenSSL writes them. */
const SPKIS = [
  RSA_SPKI,
  ...(['ec-p256', 'ed25519'] as const).map((kind) => nativeCrypto().generateKey(kind).publicKey.spki),
]
const PKCS8S = [
  RSA_PKCS8,
  ...(['ec-p256', 'ed25519'] as const).map((kind) => nativeCrypto().generateKey(kind).exportPkcs8()),
]

test('decodeSpki reads what encodeSpki writes', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...EC_KINDS, 'ed25519' as const),
      fc.infiniteStream(fc.nat(255)),
      (kind, stream) => {
        const length = kind === 'ed25519' ? 32 : 1 + 2 * EC_FIELD_BYTES[kind]
        const point = Uint8Array.from({ length }, () => stream.next().value as number)
        if (kind !== 'ed25519') point[0] = 4
        assert.deepEqual(decodeSpki(encodeSpki(kind, point)), { kind, point })
      },
    ),
  )
})

test('encodeRsaSpki writes what OpenSSL writes', () => {
  const parts = decodeSpki(RSA_SPKI)
  assert.equal(parts.kind, 'rsa')
  if (parts.kind === 'rsa') assert.deepEqual(encodeRsaSpki(parts), RSA_SPKI)
})

test('decodePkcs8 reads what encodePkcs8 writes', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...EC_KINDS),
      fc.integer({ min: 1, max: 254 }),
      fc.boolean(),
      (kind, fill, withPoint) => {
        const size = EC_FIELD_BYTES[kind]
        const scalar = new Uint8Array(size).fill(fill, 1)
        const point = withPoint ? new Uint8Array(1 + 2 * size).fill(fill).fill(4, 0, 1) : undefined
        assert.deepEqual(decodePkcs8(encodePkcs8(kind, scalar, point)), { kind, scalar, point })
      },
    ),
  )
  const seed = new Uint8Array(32).fill(9)
  assert.deepEqual(decodePkcs8(encodePkcs8('ed25519', seed)), { kind: 'ed25519', seed, point: undefined })
})

test('decodePkcs8 reads the version 2 example of RFC 8410 §10.3, with its attributes and public key', () => {
  const pkcs8 = Uint8Array.fromBase64(
    'MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhCoB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hh' +
      'aXJzgSEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=',
  )
  const parts = decodePkcs8(pkcs8)
  assert.ok(parts.kind === 'ed25519')
  assert.equal(parts.point?.toHex(), '19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1')
  assert.equal(nativeCrypto().importPrivateKey(pkcs8).kind, 'ed25519')
})

test('decodeSpki and decodePkcs8 refuse every truncation and everything behind', () => {
  for (const [decode, inputs] of [
    [decodeSpki, SPKIS],
    [decodePkcs8, PKCS8S],
  ] as const) {
    for (const whole of inputs) {
      for (let length = 0; length < whole.length; length++)
        assert.throws(
          () => decode(whole.subarray(0, length)),
          INVALID_KEY,
          `${length} of ${whole.length} bytes`,
        )
      assert.throws(() => decode(concat(whole, new Uint8Array(1))), INVALID_KEY)
    }
  }
})

test('decodeSpki and decodePkcs8 throw only errors of their own on altered input', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(
        ...SPKIS.map((der) => [decodeSpki, der] as const),
        ...PKCS8S.map((der) => [decodePkcs8, der] as const),
      ),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      ([decode, der], position, change) => {
        const altered = Uint8Array.from(der)
        altered[position % der.length]! ^= change
        try {
          decode(altered)
        } catch (error) {
          assert.ok(error instanceof CryptoError, String(error))
        }
      },
    ),
    { numRuns: 2000 },
  )
})

test('decodeSpki refuses a length that is not in its shortest form', () => {
  const [spki] = [encodeSpki('ed25519', new Uint8Array(32))]
  assert.throws(() => decodeSpki(concat(Uint8Array.of(0x30, 0x81, spki[1]!), spki.subarray(2))), INVALID_KEY)
  assert.throws(
    () => decodeSpki(concat(Uint8Array.of(0x30, 0x82, 0, spki[1]!), spki.subarray(2))),
    INVALID_KEY,
  )
  assert.throws(
    () => decodeSpki(concat(Uint8Array.of(0x30, 0x80), spki.subarray(2), new Uint8Array(2))),
    INVALID_KEY,
  )
})

test('decodeSpki says that it does not support other algorithms', () => {
  const bits = encodeElement(3, new Uint8Array(33))
  const spkiOf = (algorithm: string) =>
    encodeElement(0x30, encodeElement(0x30, Uint8Array.fromHex(algorithm)), bits)
  const algorithms = {
    X25519: '06032b656e',
    Ed448: '06032b6571',
    secp256k1: '06072a8648ce3d020106052b8104000a',
    'an EC key without a curve': '06072a8648ce3d0201',
    'RSASSA-PSS': '06092a864886f70d01010a',
    'RSA without its NULL': '06092a864886f70d010101',
    'Ed25519 with parameters': '06032b65700500',
  }
  for (const [what, algorithm] of Object.entries(algorithms))
    assert.throws(() => decodeSpki(spkiOf(algorithm)), UNSUPPORTED, what)
})

test('decodePkcs8 refuses an EC key whose inner curve is not its outer one', () => {
  const inner = (curve: string) =>
    encodeElement(
      0x30,
      Uint8Array.of(2, 1, 1),
      encodeElement(4, new Uint8Array(32).fill(1)),
      encodeElement(0xa0, Uint8Array.fromHex(curve)),
    )
  const pkcs8 = (curve: string) =>
    encodeElement(
      0x30,
      Uint8Array.of(2, 1, 0),
      encodeElement(0x30, Uint8Array.fromHex('06072a8648ce3d020106082a8648ce3d030107')),
      encodeElement(4, inner(curve)),
    )
  assert.equal(decodePkcs8(pkcs8('06082a8648ce3d030107')).kind, 'ec-p256')
  assert.throws(() => decodePkcs8(pkcs8('06052b81040022')), INVALID_KEY)
  assert.throws(() => decodePkcs8(pkcs8('0500')), INVALID_KEY)
})
