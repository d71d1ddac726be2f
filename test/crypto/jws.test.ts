import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import test from 'node:test'
import * as fc from 'fast-check'
import { CryptoError } from '../../src/crypto/errors.ts'
import {
  isJwsAlgorithm,
  JWS_ALGORITHMS,
  parseJwks,
  parseJws,
  signJws,
  verifyJws,
} from '../../src/crypto/jws.ts'
import { hmacToken, jwksOf, signToken, tokenSigner, unsignedToken } from '../support/tokens.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { PROVIDERS } from './implementations.ts'

const CLAIMS = { sub: 'repo:acme/shop', iss: 'https://issuer.example', n: 7, ü: '☂' }
const signers = JWS_ALGORITHMS.map((algorithm) => tokenSigner(algorithm, `key of ${algorithm}`))

for (const crypto of PROVIDERS) {
  test(`verifyJws takes what node:crypto has signed, with every algorithm (${crypto.name})`, () => {
    const keys = parseJwks(jwksOf(...signers), crypto)
    assert.equal(keys.length, signers.length)
    for (const [place, signer] of signers.entries()) {
      const jws = parseJws(signToken(signer, CLAIMS))
      assert.deepEqual([jws.algorithm, jws.keyId, jws.claims], [signer.algorithm, signer.keyId, CLAIMS])
      for (const [other, key] of keys.entries()) assert.equal(verifyJws(jws, key), other === place)
    }
  })

  test(`verifyJws refuses a token of which any character was altered (${crypto.name})`, () => {
    const keys = parseJwks(jwksOf(...signers), crypto)
    const tokens = signers.map((signer) => signToken(signer, CLAIMS))
    fc.assert(
      fc.property(
        fc.nat(signers.length - 1),
        fc.nat(),
        fc.constantFrom('A', 'B', 'z', '_', '.', '=', '-', '0'),
        (signer, place, character) => {
          const token = tokens[signer]!
          const at = place % token.length
          const altered = token.slice(0, at) + character + token.slice(at + 1)
          fc.pre(altered !== token)
          assert.ok(!holds(altered, keys[signer]!))
        },
      ),
      { numRuns: crypto.name === 'native' ? 400 : 40 },
    )
  })

  test(`parseJwks reads the examples of RFC 7517 and RFC 8037, and passes over what it cannot use (${crypto.name})`, () => {
    const keys = parseJwks(
      JSON.stringify({
        keys: [
          {
            kty: 'EC',
            crv: 'P-256',
            x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
            y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
            use: 'enc',
            kid: '1',
          },
          { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
          {
            kty: 'oct',
            k: 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
          },
          { kty: 'OKP', crv: 'X25519', x: '3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08' },
          'no key at all',
        ],
      }),
      crypto,
    )
    assert.deepEqual(
      keys.map(({ key }) => key.kind),
      ['ed25519'],
    )
    // RFC 8037 appendix A.4
    const jws = 'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc'
    const signature = 'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'
    const parsed = {
      algorithm: 'EdDSA',
      keyId: undefined,
      claims: {},
      signed: new TextEncoder().encode(jws),
      signature: Uint8Array.fromBase64(signature, { alphabet: 'base64url' }),
    }
    assert.ok(verifyJws(parsed, keys[0]!))
  })

  test(`parseJwks refuses keys that are weak or broken (${crypto.name})`, () => {
    const weak = tokenSigner('RS256', 'weak', 1024)
    const ec = signers.find(({ algorithm }) => algorithm === 'ES256')!
    for (const text of [
      jwksOf(weak),
      JSON.stringify({ keys: [{ ...ec.jwk, y: ec.jwk['x'] }] }),
      JSON.stringify({ keys: [{ ...ec.jwk, x: 'AA' }] }),
      JSON.stringify({ keys: {} }),
      '[]',
      'no JSON',
    ])
      assert.throws(() => parseJwks(text, crypto), { code: 'CRYPTO_JWS' }, text)
  })
}

test('verifyJws refuses none and HMAC, whatever the key', () => {
  const crypto = PROVIDERS[0]!
  const [key] = parseJwks(jwksOf(signers.find(({ algorithm }) => algorithm === 'RS256')!), crypto)
  const pem = `-----BEGIN PUBLIC KEY-----\n${key!.key.spki.toBase64()}\n-----END PUBLIC KEY-----\n`
  for (const token of [unsignedToken(CLAIMS), unsignedToken(CLAIMS, 'NONE'), hmacToken(pem, CLAIMS)]) {
    const jws = parseJws(token)
    assert.ok(!isJwsAlgorithm(jws.algorithm))
    assert.ok(!verifyJws(jws, key!))
  }
  assert.ok(!isJwsAlgorithm('toString'))
})

test('verifyJws holds a key to the algorithm that its set names for it', () => {
  const crypto = PROVIDERS[0]!
  const signer = signers.find(({ algorithm }) => algorithm === 'PS256')!
  const [key] = parseJwks(jwksOf(signer), crypto)
  const jws = parseJws(signToken({ ...signer, algorithm: 'RS256' }, CLAIMS))
  assert.ok(!verifyJws(jws, key!))
  assert.ok(verifyJws(jws, { ...key!, algorithm: undefined }))
})

test('parseJws refuses what is no token', () => {
  const [signer] = signers
  const good = signToken(signer!, CLAIMS)
  for (const text of [
    '',
    'a.b',
    `${good}.x`,
    good.replace('.', '..'),
    `${good}=`,
    ` ${good}`,
    signToken(signer!, CLAIMS, { crit: ['exp'] }),
    signToken(signer!, CLAIMS, { alg: 7 }),
    signToken(signer!, CLAIMS, { kid: 7 }),
    signToken(signer!, [1]),
    signToken(signer!, 'text'),
    'x'.repeat(20_000),
  ])
    assert.throws(() => parseJws(text), { code: 'CRYPTO_JWS' }, text.slice(0, 40))
})

function holds(text: string, key: Parameters<typeof verifyJws>[1]): boolean {
  try {
    return verifyJws(parseJws(text), key)
  } catch (error) {
    assert.ok(error instanceof CryptoError && error.code === 'CRYPTO_JWS', String(error))
    return false
  }
}

test('signJws makes tokens that verifyJws takes, and node:crypto too, with its key and no other', () => {
  const key = nativeCrypto().generateKey('ec-p256')
  const other = nativeCrypto().generateKey('ec-p256')
  // Some of the numbers have leading zeros, which the signature keeps.
  for (let count = 0; count < 300; count++) {
    const token = signJws({ sub: 's', count }, { key, keyId: 'k' })
    const jws = parseJws(token)
    assert.deepEqual([jws.algorithm, jws.keyId, jws.claims['count']], ['ES256', 'k', count])
    assert.ok(verifyJws(jws, { keyId: 'k', key: key.publicKey, algorithm: undefined }))
    assert.ok(!verifyJws(jws, { keyId: 'k', key: other.publicKey, algorithm: undefined }))
    const spki = createPublicKey({ key: Buffer.from(key.publicKey.spki), format: 'der', type: 'spki' })
    const [header, payload, signature] = token.split('.')
    assert.ok(
      verify(
        'sha256',
        Buffer.from(`${header}.${payload}`),
        { key: spki, dsaEncoding: 'ieee-p1363' },
        Buffer.from(signature!, 'base64url'),
      ),
    )
  }
  assert.throws(() => signJws({}, { key: nativeCrypto().generateKey('ec-p384'), keyId: 'k' }), TypeError)
})
