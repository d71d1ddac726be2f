import assert from 'node:assert/strict'
import test from 'node:test'

import { p256, p384, p521 } from '@noble/curves/nist.js'
import * as fc from 'fast-check'

import { utf8 } from '../../src/bytes/bytes.ts'
import { encodeSpki } from '../../src/crypto/key-encoding.ts'
import { encodePkcs8 } from '../../src/crypto/pkcs8.ts'
import type { KeyKind, SignatureParameters } from '../../src/crypto/provider.ts'
import { PROVIDERS, SIGNERS } from './implementations.ts'

const INVALID_KEY = { name: 'CryptoError', code: 'CRYPTO_INVALID_KEY' }
const UNSUPPORTED = { name: 'CryptoError', code: 'CRYPTO_UNSUPPORTED' }

const BITS: Readonly<Record<Exclude<KeyKind, 'rsa'>, number>> = {
  'ec-p256': 256,
  'ec-p384': 384,
  'ec-p521': 521,
  ed25519: 255,
  'ml-dsa-44': 8 * 1312,
  'ml-dsa-65': 8 * 1952,
  'ml-dsa-87': 8 * 2592,
}
const KINDS = Object.keys(BITS) as Exclude<KeyKind, 'rsa'>[]

test('PublicKey of each provider verifies what each one signs, and nothing else', () => {
  for (const signer of PROVIDERS) {
    for (const [kind, parameters] of SIGNERS) {
      const key = signer.generateKey(kind)
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (message) => {
          const signature = key.sign(parameters, message)
          for (const verifier of PROVIDERS) {
            const publicKey = verifier.importPublicKey(key.publicKey.spki)
            const what = `${signer.name} to ${verifier.name}, ${kind}`
            assert.equal(publicKey.verify(parameters, message, signature), true, what)
            assert.equal(
              publicKey.verify(parameters, new Uint8Array([...message, 0]), signature),
              false,
              what,
            )
          }
        }),
        { numRuns: 5 },
      )
    }
  }
})

test('PublicKey of each provider refuses a signature with any one byte changed, missing or added', () => {
  const message = utf8('client finished')
  for (const [kind, parameters] of SIGNERS) {
    const key = PROVIDERS[0]!.generateKey(kind)
    const signature = key.sign(parameters, message)
    for (const verifier of PROVIDERS) {
      const publicKey = verifier.importPublicKey(key.publicKey.spki)
      const refuses = (wrong: Uint8Array) => assert.equal(publicKey.verify(parameters, message, wrong), false)
      // Every fifth byte of the short ones; the long ones take too long for that.
      for (let i = 0; i < signature.length; i += Math.max(5, signature.length >> 5)) {
        const changed = Uint8Array.from(signature)
        changed[i]! ^= 1 << (i % 8)
        refuses(changed)
      }
      refuses(new Uint8Array(0))
      refuses(signature.subarray(1))
      refuses(signature.subarray(0, -1))
      refuses(new Uint8Array([...signature, 0]))
    }
  }
})

test('PublicKey.verify is false, and PrivateKey.sign throws, for signatures of another kind of key', () => {
  const all: SignatureParameters[] = [
    { kind: 'ecdsa', hash: 'sha256' },
    { kind: 'ed25519' },
    { kind: 'rsa-pss', hash: 'sha256' },
    { kind: 'rsa-pkcs1', hash: 'sha256' },
    { kind: 'ml-dsa-44' },
    { kind: 'ml-dsa-65' },
    { kind: 'ml-dsa-87' },
  ]
  for (const crypto of PROVIDERS) {
    for (const kind of KINDS) {
      const key = crypto.generateKey(kind)
      const own = kind.startsWith('ec-') ? 'ecdsa' : kind
      for (const parameters of all.filter((parameters) => parameters.kind !== own)) {
        assert.equal(key.publicKey.verify(parameters, new Uint8Array(1), new Uint8Array(64)), false)
        assert.throws(() => key.sign(parameters, new Uint8Array(1)), UNSUPPORTED)
      }
    }
  }
})

test('PrivateKey of each provider can be stored and read by the other', () => {
  for (const maker of PROVIDERS) {
    for (const kind of KINDS) {
      const key = maker.generateKey(kind)
      assert.equal(key.kind, kind)
      assert.equal(key.publicKey.kind, kind)
      assert.equal(key.publicKey.bits, BITS[kind])
      for (const reader of PROVIDERS) {
        const read = reader.importPrivateKey(key.exportPkcs8())
        assert.equal(read.kind, kind)
        assert.deepEqual(read.publicKey.spki, key.publicKey.spki)
        assert.deepEqual(read.exportPkcs8(), key.exportPkcs8(), `${maker.name} to ${reader.name}, ${kind}`)
        assert.deepEqual(reader.importPublicKey(key.publicKey.spki).bits, BITS[kind])
      }
    }
  }
})

test('importPrivateKey works without the public half, and refuses one that is not its own', () => {
  for (const crypto of PROVIDERS) {
    for (const kind of ['ec-p256', 'ec-p384', 'ec-p521'] as const) {
      const size = { 'ec-p256': 32, 'ec-p384': 48, 'ec-p521': 66 }[kind]
      const scalar = new Uint8Array(size).fill(1, size - 3)
      const key = crypto.importPrivateKey(encodePkcs8(kind, scalar))
      const point = key.publicKey.spki.subarray(-1 - 2 * size)
      assert.deepEqual(encodeSpki(kind, point), key.publicKey.spki)
      assert.deepEqual(encodePkcs8(kind, scalar, point), key.exportPkcs8())
      const stranger = crypto.generateKey(kind).publicKey.spki.subarray(-1 - 2 * size)
      assert.throws(() => crypto.importPrivateKey(encodePkcs8(kind, scalar, stranger)), INVALID_KEY)
    }
  }
})

test('importPrivateKey takes a scalar whose leading zeros were dropped', () => {
  for (const crypto of PROVIDERS) {
    const whole = new Uint8Array(32).fill(5, 2)
    const short = crypto.importPrivateKey(encodePkcs8('ec-p256', whole.subarray(2)))
    assert.deepEqual(
      short.exportPkcs8(),
      crypto.importPrivateKey(encodePkcs8('ec-p256', whole)).exportPkcs8(),
    )
  }
})

test('importPrivateKey takes exactly the scalars between zero and the order of the curve', () => {
  for (const crypto of PROVIDERS) {
    for (const [kind, curve] of [
      ['ec-p256', p256],
      ['ec-p384', p384],
      ['ec-p521', p521],
    ] as const) {
      const { ORDER: order, BYTES: size } = curve.Point.Fn
      const pkcs8 = (scalar: bigint) =>
        encodePkcs8(kind, Uint8Array.fromHex(scalar.toString(16).padStart(2 * size, '0')))
      for (const scalar of [1n, order - 1n]) assert.equal(crypto.importPrivateKey(pkcs8(scalar)).kind, kind)
      for (const scalar of [0n, order, order + 1n])
        assert.throws(() => crypto.importPrivateKey(pkcs8(scalar)), INVALID_KEY)
    }
  }
})

test('importPublicKey refuses points that are off the curve, compressed or at infinity', () => {
  for (const crypto of PROVIDERS) {
    const spki = crypto.generateKey('ec-p256').publicKey.spki
    const point = spki.subarray(-65)
    const offCurve = Uint8Array.from(point)
    offCurve[40]! ^= 1
    const compressed = new Uint8Array([2 + (point[64]! & 1), ...point.subarray(1, 33)])
    for (const wrong of [offCurve, compressed, new Uint8Array(1), new Uint8Array(0)])
      assert.throws(() => crypto.importPublicKey(encodeSpki('ec-p256', wrong)), INVALID_KEY)
  }
})

test('PublicKey keeps its own copy of what it was read from', () => {
  for (const crypto of PROVIDERS) {
    for (const [kind, parameters] of SIGNERS) {
      const key = crypto.generateKey(kind)
      const spki = Uint8Array.from(key.publicKey.spki)
      const publicKey = crypto.importPublicKey(spki)
      spki.fill(0)
      assert.deepEqual(publicKey.spki, key.publicKey.spki)
      assert.ok(publicKey.verify(parameters, new Uint8Array(3), key.sign(parameters, new Uint8Array(3))))
    }
  }
})

test('verify accepts both ECDSA signatures that a message has, s and the order less s', () => {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const message = utf8('either')
  const key = PROVIDERS[0]!.generateKey('ec-p256')
  const signature = key.sign({ kind: 'ecdsa', hash: 'sha256' }, message)
  const rBytes = 2 + signature[3]!
  const s = BigInt(`0x${signature.subarray(4 + rBytes).toHex()}`)
  const other = (order - s).toString(16).padStart(64, '0')
  const padded =
    Number.parseInt(other.slice(0, 2), 16) > 0x7f ? `00${other}` : other.replace(/^(00)+(?=[0-7])/, '')
  const integer = Uint8Array.fromHex(padded)
  const body = [...signature.subarray(2, 2 + rBytes), 2, integer.length, ...integer]
  const twin = new Uint8Array([0x30, body.length, ...body])
  for (const crypto of PROVIDERS) {
    const publicKey = crypto.importPublicKey(key.publicKey.spki)
    assert.ok(publicKey.verify({ kind: 'ecdsa', hash: 'sha256' }, message, twin), crypto.name)
  }
})

test('generateKey refuses to make RSA keys', () => {
  for (const crypto of PROVIDERS) assert.throws(() => crypto.generateKey('rsa' as 'ed25519'), UNSUPPORTED)
})
