import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { utf8 } from '../../src/bytes/bytes.ts'
import { CryptoError } from '../../src/crypto/errors.ts'
import {
  deriveHpkeScalar,
  generateHpkeScalar,
  HpkeAead,
  HpkeKdf,
  HpkeKem,
  importHpkeKey,
  isHpkeSuite,
  setupReceiver,
  setupSender,
  type HpkeSuite,
} from '../../src/crypto/hpke.ts'
import { PROVIDERS } from './implementations.ts'

/** All vectors of RFC 9180 appendix A seal these words, one after the other, under "Count-0", "Count-1" … */
const INFO = utf8('Ode on a Grecian Urn')
const PLAINTEXT = utf8('Beauty is truth, truth beauty')

interface Vector {
  /** The section of RFC 9180. */
  readonly source: string
  readonly suite: HpkeSuite
  /** Seeds and scalars where the test goes through the sender too. */
  readonly ikmE?: string
  readonly ikmR?: string
  readonly skRm: string
  readonly enc: string
  readonly ciphertexts: readonly string[]
}

const { hkdfSha256, hkdfSha384 } = HpkeKdf
const { aes128Gcm, aes256Gcm, chacha20Poly1305 } = HpkeAead

const VECTORS: readonly Vector[] = [
  {
    source: 'A.1.1',
    suite: { kem: HpkeKem.x25519, kdf: hkdfSha256, aead: aes128Gcm },
    ikmE: '7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234',
    ikmR: '6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037',
    skRm: '4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8',
    enc: '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431',
    ciphertexts: [
      'f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a',
      'af2d7e9ac9ae7e270f46ba1f975be53c09f8d875bdc8535458c2494e8a6eab251c03d0c22a56b8ca42c2063b84',
    ],
  },
  {
    source: 'A.2.1',
    suite: { kem: HpkeKem.x25519, kdf: hkdfSha256, aead: chacha20Poly1305 },
    skRm: '8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb',
    enc: '1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a',
    ciphertexts: [
      '1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28',
    ],
  },
  {
    source: 'A.3.1',
    suite: { kem: HpkeKem.p256, kdf: hkdfSha256, aead: aes128Gcm },
    ikmE: '4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e',
    ikmR: '668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550',
    skRm: 'f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2',
    enc: '04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4',
    ciphertexts: [
      '5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434',
      'fa6f037b47fc21826b610172ca9637e82d6e5801eb31cbd3748271affd4ecb06646e0329cbdf3c3cd655b28e82',
    ],
  },
  {
    source: 'A.5.1',
    suite: { kem: HpkeKem.p256, kdf: hkdfSha256, aead: chacha20Poly1305 },
    skRm: 'a4d1c55836aa30f9b3fbb6ac98d338c877c2867dd3a77396d13f68d3ab150d3b',
    enc: '04c07836a0206e04e31d8ae99bfd549380b072a1b1b82e563c935c095827824fc1559eac6fb9e3c70cd3193968994e7fe9781aa103f5b50e934b5b2f387e381291',
    ciphertexts: [
      '6469c41c5c81d3aa85432531ecf6460ec945bde1eb428cb2fedf7a29f5a685b4ccb0d057f03ea2952a27bb458b',
    ],
  },
]

for (const crypto of PROVIDERS) {
  for (const { source, suite, ikmE, ikmR, skRm, enc, ciphertexts } of VECTORS) {
    test(`setupReceiver opens the messages of RFC 9180 ${source} in their order (${crypto.name})`, () => {
      const key = importHpkeKey(crypto, suite.kem, Uint8Array.fromHex(skRm))
      using context = setupReceiver(crypto, suite, key, { enc: Uint8Array.fromHex(enc), info: INFO })
      for (const [count, ciphertext] of ciphertexts.entries())
        assert.deepEqual(context.open(utf8(`Count-${count}`), Uint8Array.fromHex(ciphertext)), PLAINTEXT)
    })

    if (ikmE === undefined || ikmR === undefined) continue
    test(`setupSender seals the messages of RFC 9180 ${source} with the derived keys (${crypto.name})`, () => {
      const derived = [ikmE, ikmR].map((seed) =>
        deriveHpkeScalar(crypto, suite.kem, Uint8Array.fromHex(seed)),
      )
      assert.equal(derived[1]!.toHex(), skRm)
      const [ephemeral, recipient] = derived.map((scalar) => importHpkeKey(crypto, suite.kem, scalar))
      const to = { publicKey: recipient!.share, info: INFO }
      const sender = setupSender(crypto, suite, to, ephemeral)
      using context = sender.context
      assert.equal(sender.enc.toHex(), enc)
      for (const [count, ciphertext] of ciphertexts.entries())
        assert.equal(context.seal(utf8(`Count-${count}`), PLAINTEXT).toHex(), ciphertext)
    })
  }

  test(`setupSender reaches the receiver under every suite (${crypto.name})`, () => {
    for (const kem of Object.values(HpkeKem)) {
      const key = importHpkeKey(crypto, kem, generateHpkeScalar(crypto, kem))
      for (const kdf of [hkdfSha256, hkdfSha384]) {
        for (const aead of [aes128Gcm, aes256Gcm, chacha20Poly1305]) {
          const suite = { kem, kdf, aead }
          assert.ok(isHpkeSuite(suite))
          const { enc, context: sender } = setupSender(crypto, suite, { publicKey: key.share, info: INFO })
          const receiver = setupReceiver(crypto, suite, key, { enc, info: INFO })
          fc.assert(
            fc.property(fc.uint8Array(), fc.uint8Array(), (aad, plaintext) => {
              assert.deepEqual(receiver.open(aad, sender.seal(aad, plaintext)), plaintext)
            }),
            { numRuns: 5 },
          )
        }
      }
    }
  })

  test(`HpkeContext.open refuses what is altered, cut or out of order, and goes on after it (${crypto.name})`, () => {
    const suite = { kem: HpkeKem.x25519, kdf: hkdfSha384, aead: aes256Gcm }
    const key = importHpkeKey(crypto, suite.kem, generateHpkeScalar(crypto, suite.kem))
    const { enc, context: sender } = setupSender(crypto, suite, { publicKey: key.share, info: INFO })
    const receiver = setupReceiver(crypto, suite, key, { enc, info: INFO })
    const aad = utf8('aad')
    const [first, second] = [sender.seal(aad, PLAINTEXT), sender.seal(aad, PLAINTEXT)]
    assert.notDeepEqual(first, second)
    assert.equal(receiver.open(aad, second), undefined)
    assert.equal(receiver.open(aad, first.with(3, first[3]! ^ 1)), undefined)
    assert.equal(receiver.open(utf8('another'), first), undefined)
    assert.equal(receiver.open(aad, first.subarray(0, 15)), undefined)
    assert.deepEqual(receiver.open(aad, first), PLAINTEXT)
    assert.deepEqual(receiver.open(aad, second), PLAINTEXT)
    const other = setupReceiver(crypto, suite, key, { enc, info: utf8('another') })
    assert.equal(other.open(aad, first), undefined)
  })

  test(`CryptoProvider.importKeyAgreementKey refuses what is no scalar (${crypto.name})`, () => {
    const refused = (error: unknown): boolean =>
      error instanceof CryptoError && error.code === 'CRYPTO_INVALID_KEY'
    for (const [group, scalar] of [
      ['x25519', new Uint8Array(31)],
      ['secp256r1', new Uint8Array(33)],
      ['secp256r1', new Uint8Array(32)],
      ['secp256r1', new Uint8Array(32).fill(0xff)],
    ] as const) {
      assert.throws(() => crypto.importKeyAgreementKey(group, scalar), refused)
    }
  })

  test(`CryptoProvider.importKeyAgreementKey agrees with ephemeral keys, any number of times (${crypto.name})`, () => {
    for (const group of ['x25519', 'secp256r1'] as const) {
      const key = crypto.importKeyAgreementKey(group, new Uint8Array(32).fill(9))
      for (let i = 0; i < 2; i++) {
        const { share, secret } = crypto.answerKeyAgreement(group, key.share)
        assert.deepEqual(key.complete(share), secret)
      }
    }
  })
}

test('isHpkeSuite knows only what is implemented', () => {
  assert.equal(isHpkeSuite({ kem: 0x20, kdf: 3, aead: 1 }), false)
  assert.equal(isHpkeSuite({ kem: 0x12, kdf: 1, aead: 1 }), false)
  assert.equal(isHpkeSuite({ kem: 0x20, kdf: 1, aead: 0xffff }), false)
})
