import assert from 'node:assert/strict'
import test from 'node:test'
import { CaError, type CaErrorCode } from '../../src/ca/errors.ts'
import { KeySet } from '../../src/ca/key-set.ts'
import { OidcAttestor } from '../../src/ca/oidc-attestor.ts'
import type { JwsAlgorithm } from '../../src/crypto/jws.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { memoryCa } from '../support/memory-ca.ts'
import { hmacToken, jwksOf, signToken, tokenSigner, unsignedToken } from '../support/tokens.ts'

const NOW_MS = Date.UTC(2026, 5, 1, 12)
const NOW = NOW_MS / 1000
const crypto = nativeCrypto()

const signer = tokenSigner('ES256', 'one')
const rsa = tokenSigner('RS256', 'rsa')
const CLAIMS = {
  iss: 'https://ci.example',
  aud: ['other', 'handfast.example'],
  sub: 'repo:acme/shop:environment:production',
  exp: NOW + 300,
  nbf: NOW - 10,
  iat: NOW - 10,
  repository: 'acme/shop',
  environment: 'production',
  repository_owner: 'acme',
}

function attestor(keys = jwksOf(signer, rsa), algorithms: readonly JwsAlgorithm[] = ['ES256']): OidcAttestor {
  return new OidcAttestor({
    issuers: [
      {
        issuer: 'https://ci.example',
        audience: 'handfast.example',
        algorithms,
        keys: new KeySet({ crypto, source: 'the test', load: () => Promise.resolve(keys) }),
        spiffeId: 'spiffe://example.org/ci/{+repository}/{environment}',
        claims: { repository_owner: 'acme' },
      },
    ],
    clockSkewMs: 60_000,
  })
}

function without(...names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(CLAIMS).filter(([name]) => !names.includes(name)))
}

test('OidcAttestor proves who its claims say, by every algorithm that is allowed', async () => {
  const algorithms = ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'] as const
  const signers = algorithms.map((algorithm) => tokenSigner(algorithm, algorithm))
  for (const one of signers) {
    const { id, proof } = await attestor(jwksOf(...signers), algorithms).attest(
      { kind: 'oidc', token: signToken(one, CLAIMS) },
      { nowMs: NOW_MS },
    )
    assert.equal(id.toString(), 'spiffe://example.org/ci/acme/shop/production')
    assert.equal(proof, 'oidc:https://ci.example "repo:acme/shop:environment:production"')
  }
})

test('OidcAttestor tries every key for a token that names none', async () => {
  const other = tokenSigner('ES256', 'another')
  const token = signToken(other, CLAIMS, { kid: undefined })
  const { id } = await attestor(jwksOf(signer, rsa, other)).attest({ kind: 'oidc', token }, { nowMs: NOW_MS })
  assert.equal(id.trustDomain, 'example.org')
})

const stranger = tokenSigner('ES256', 'stranger')
const impostor = { ...stranger, keyId: signer.keyId }
const REFUSALS: Readonly<Record<string, readonly [token: string, code: CaErrorCode]>> = {
  'another audience': [signToken(signer, { ...CLAIMS, aud: 'other' }), 'CA_TOKEN_AUDIENCE'],
  'no audience': [signToken(signer, without('aud')), 'CA_TOKEN_AUDIENCE'],
  expired: [signToken(signer, { ...CLAIMS, exp: NOW - 60 }), 'CA_TOKEN_EXPIRED'],
  'without an end': [signToken(signer, without('exp')), 'CA_TOKEN_CLAIMS'],
  'an end that is no time': [signToken(signer, { ...CLAIMS, exp: '2099' }), 'CA_TOKEN_CLAIMS'],
  'an end beyond time': [signToken(signer, { ...CLAIMS, exp: 1e300 }), 'CA_TOKEN_CLAIMS'],
  'not valid yet': [signToken(signer, { ...CLAIMS, nbf: NOW + 61 }), 'CA_TOKEN_NOT_YET_VALID'],
  'issued in the future': [signToken(signer, { ...CLAIMS, iat: NOW + 61 }), 'CA_TOKEN_NOT_YET_VALID'],
  'algorithm none': [unsignedToken(CLAIMS), 'CA_TOKEN_ALGORITHM'],
  'algorithm None': [unsignedToken(CLAIMS, 'None'), 'CA_TOKEN_ALGORITHM'],
  'a shared secret': [hmacToken(JSON.stringify(signer.jwk), CLAIMS), 'CA_TOKEN_ALGORITHM'],
  'an algorithm that is not allowed': [signToken(rsa, CLAIMS), 'CA_TOKEN_ALGORITHM'],
  'an unknown key': [signToken(stranger, CLAIMS), 'CA_TOKEN_KEY'],
  "another key's name": [signToken(impostor, CLAIMS), 'CA_TOKEN_SIGNATURE'],
  'a key of another kind': [signToken(signer, CLAIMS, { kid: 'rsa' }), 'CA_TOKEN_KEY'],
  'another issuer': [signToken(signer, { ...CLAIMS, iss: 'https://other.example' }), 'CA_TOKEN_ISSUER'],
  'no issuer': [signToken(signer, without('iss')), 'CA_TOKEN_ISSUER'],
  'another owner': [signToken(signer, { ...CLAIMS, repository_owner: 'evil' }), 'CA_TOKEN_CLAIMS'],
  'no environment': [signToken(signer, without('environment')), 'CA_TOKEN_CLAIMS'],
  'a claim that climbs': [signToken(signer, { ...CLAIMS, repository: 'acme/../admin' }), 'CA_TOKEN_CLAIMS'],
  'a segment that is two': [signToken(signer, { ...CLAIMS, environment: 'a/b' }), 'CA_TOKEN_CLAIMS'],
  'a claim of escapes': [signToken(signer, { ...CLAIMS, environment: 'a%2fb' }), 'CA_TOKEN_CLAIMS'],
  'an empty claim': [signToken(signer, { ...CLAIMS, environment: '' }), 'CA_TOKEN_CLAIMS'],
  'a claim that is a list': [signToken(signer, { ...CLAIMS, environment: ['a'] }), 'CA_TOKEN_CLAIMS'],
  'no token': ['not.a.token', 'CA_TOKEN_MALFORMED'],
}

for (const [what, [token, code]] of Object.entries(REFUSALS))
  test(`OidcAttestor refuses a token with ${what} (${code}); it is recorded, and nothing is issued`, async () => {
    const { issuer, journal } = await memoryCa(NOW_MS, { attestors: { oidc: attestor() } })
    const csr = createCsr(crypto.generateKey('ec-p256'))
    await assert.rejects(
      issuer.issue(csr, { kind: 'oidc', token }, { nowMs: NOW_MS }),
      (error) => error instanceof CaError && error.code === code,
    )
    assert.deepEqual(
      journal.entries.map((entry) => entry.kind === 'refused' && entry.code),
      [code],
    )
    const signature = token.split('.')[2] ?? ''
    assert.ok(signature.length < 20 || !JSON.stringify(journal.entries).includes(signature))
  })

test('OidcAttestor allows for clocks that differ', async () => {
  for (const claims of [
    { ...CLAIMS, exp: NOW - 59 },
    { ...CLAIMS, nbf: NOW + 60, iat: NOW + 60 },
  ])
    await attestor().attest({ kind: 'oidc', token: signToken(signer, claims) }, { nowMs: NOW_MS })
})
