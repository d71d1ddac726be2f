import assert from 'node:assert/strict'
import test from 'node:test'

import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js'

import { concat, utf8 } from '../../src/bytes/bytes.ts'
import { DER_INTEGER, DER_OCTET_STRING, DER_SEQUENCE, encodeElement } from '../../src/crypto/der.ts'
import { ALGORITHMS, encodeSpki } from '../../src/crypto/key-encoding.ts'
import { encodeMlDsaPkcs8 } from '../../src/crypto/pkcs8.ts'
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import { PROVIDERS } from './implementations.ts'

const INVALID_KEY = { name: 'CryptoError', code: 'CRYPTO_INVALID_KEY' }

/** The seed of every example in RFC 9881 appendix C. */
const SEED = Uint8Array.from({ length: 32 }, (_, i) => i)

/** The SHA-256 of what appendix C prints: the public key, and the private one in each form. */
const KINDS = [
  {
    kind: 'ml-dsa-44',
    library: ml_dsa44,
    spki: '837832708c5236d951581f1fddf2b79991b3424a0486d16da1ddad0fd69701be',
    seed: 'c823cb6a31172daa8af670a22c0f049af972bf1cb39a4a95971aa8c0c659dff4',
    expanded: '35cb529103b3a9ed502fecb438a671ff11bb05fb4afa99301d06240883a74106',
    both: 'e355e29f28e537fcf3aff28354016415146d7f801a57136c241bb6e9addfaa30',
  },
  {
    kind: 'ml-dsa-65',
    library: ml_dsa65,
    spki: 'b8b62131bfbe84433efb2273d7f5b87f7a22854a2cfd366fc2aead86d837c52d',
    seed: 'af965903772933b6acc59764f335fcad9b5c61cdab2b368eabf224e7c29e31ac',
    expanded: 'fae10810e47ed4b41851065b40bb60547e816ebf31b0738b4ed4af57337706ec',
    both: '5259463f8ec68e21b8c179a7e49dba184fd24280080bd5bb78af94d7a2a0ac81',
  },
  {
    kind: 'ml-dsa-87',
    library: ml_dsa87,
    spki: '07e57c4f14dbad1267f621ec3777b4e2e6c4fbc4c22fbb87510ff8e0b3c6a642',
    seed: '72cc4260a8d3d7622801ea98636123866d00e236d5f77221039c862325e02754',
    expanded: '8e2e40f141d1d6788d074de4124a744ee3106697ae6c01faccf855510079ecb3',
    both: 'c71913419ea426e99da06330e3b06b2ab47448f1aff520479358e3cb71f5c1d6',
  },
] as const

for (const crypto of PROVIDERS) {
  for (const { kind, library, ...digests } of KINDS) {
    const expanded = library.keygen(SEED).secretKey
    const forms = { seed: { seed: SEED }, expanded: { expanded }, both: { seed: SEED, expanded } }

    test(`importPrivateKey of ${crypto.name} reads ${kind} keys in all forms of RFC 9881`, () => {
      for (const [name, secret] of Object.entries(forms) as [keyof typeof forms, typeof forms.both][]) {
        const pkcs8 = encodeMlDsaPkcs8(kind, secret)
        assert.equal(sha256(crypto, pkcs8), digests[name], name)
        const key = crypto.importPrivateKey(pkcs8)
        assert.equal(key.kind, kind)
        assert.equal(sha256(crypto, key.publicKey.spki), digests.spki, name)
        const message = utf8(name)
        for (const verifier of PROVIDERS) {
          const publicKey = verifier.importPublicKey(key.publicKey.spki)
          assert.ok(publicKey.verify({ kind }, message, key.sign({ kind }, message)))
        }
        // By its seed where that is known: of all forms the one that cannot contradict itself.
        const stored = name === 'expanded' ? digests.expanded : digests.seed
        assert.equal(sha256(crypto, key.exportPkcs8()), stored, name)
      }
    })

    test(`importPrivateKey of ${crypto.name} refuses ${kind} keys that contradict themselves`, () => {
      const flipped = (at: number) => expanded.map((byte, i) => (i === at ? byte ^ 1 : byte))
      const wrongs = {
        'rho, and so the public key': { expanded: flipped(0) },
        'the hash of the public key': { expanded: flipped(64) },
        'a secret number out of range': { expanded: expanded.map((byte, i) => (i === 128 ? 0xff : byte)) },
        'a seed of another key': { seed: SEED.map((byte) => byte ^ 1), expanded },
        'K beside its seed': { seed: SEED, expanded: flipped(32) },
        't0 beside its seed': { seed: SEED, expanded: flipped(expanded.length - 1) },
      }
      for (const [what, secret] of Object.entries(wrongs))
        assert.throws(() => crypto.importPrivateKey(encodeMlDsaPkcs8(kind, secret)), INVALID_KEY, what)
    })

    test(`importPrivateKey of ${crypto.name} refuses ${kind} keys that are no ML-DSA-PrivateKey`, () => {
      const seed = encodeElement(0x80, SEED)
      const octets = encodeElement(DER_OCTET_STRING, expanded)
      const both = [encodeElement(DER_OCTET_STRING, SEED), octets]
      const wrongs = {
        nothing: new Uint8Array(0),
        'a seed too short': encodeElement(0x80, SEED.subarray(1)),
        'a seed too long': encodeElement(0x80, SEED, Uint8Array.of(0)),
        'a seed under another tag': encodeElement(0x81, SEED),
        'a seed as expanded key': encodeElement(DER_OCTET_STRING, SEED),
        'an expanded key too short': encodeElement(DER_OCTET_STRING, expanded.subarray(1)),
        'an expanded key too long': encodeElement(DER_OCTET_STRING, expanded, Uint8Array.of(0)),
        'an empty sequence': encodeElement(DER_SEQUENCE),
        'half of both': encodeElement(DER_SEQUENCE, both[0]!),
        'both, reversed': encodeElement(DER_SEQUENCE, ...both.toReversed()),
        'both and more': encodeElement(DER_SEQUENCE, ...both, seed),
        'two choices': concat(seed, octets),
      }
      for (const [what, choice] of Object.entries(wrongs))
        assert.throws(() => crypto.importPrivateKey(privateKeyInfo(kind, choice)), INVALID_KEY, what)
    })

    test(`importPrivateKey of ${crypto.name} refuses a ${kind} key with the public key of another`, () => {
      const choice = encodeElement(0x80, SEED)
      const own = library.keygen(SEED).publicKey
      const other = library.keygen(SEED.map((byte) => byte ^ 1)).publicKey
      assert.equal(crypto.importPrivateKey(privateKeyInfo(kind, choice, own)).kind, kind)
      assert.throws(() => crypto.importPrivateKey(privateKeyInfo(kind, choice, other)), INVALID_KEY)
    })

    test(`importPublicKey of ${crypto.name} refuses ${kind} keys of another length`, () => {
      const { publicKey } = library.keygen(SEED)
      for (const wrong of [
        new Uint8Array(0),
        publicKey.subarray(1),
        new Uint8Array(publicKey.length + 1),
        new Uint8Array(33),
      ])
        assert.throws(() => crypto.importPublicKey(encodeSpki(kind, wrong)), INVALID_KEY)
    })
  }
}

test('sign with ML-DSA is randomised', () => {
  for (const crypto of PROVIDERS) {
    const key = crypto.generateKey('ml-dsa-44')
    const [first, second] = [1, 2].map(() => key.sign({ kind: 'ml-dsa-44' }, SEED))
    assert.notDeepEqual(first, second)
  }
})

function sha256(crypto: CryptoProvider, bytes: Uint8Array): string {
  return crypto.digest('sha256', bytes).toHex()
}

/** PKCS#8 with any content, and with the public key where one is given (RFC 5958 §2). */
function privateKeyInfo(
  kind: keyof typeof ALGORITHMS,
  choice: Uint8Array,
  publicKey?: Uint8Array,
): Uint8Array {
  return encodeElement(
    DER_SEQUENCE,
    encodeElement(DER_INTEGER, Uint8Array.of(publicKey === undefined ? 0 : 1)),
    encodeElement(DER_SEQUENCE, ALGORITHMS[kind]),
    encodeElement(DER_OCTET_STRING, choice),
    ...(publicKey === undefined ? [] : [encodeElement(0x81, Uint8Array.of(0), publicKey)]),
  )
}
