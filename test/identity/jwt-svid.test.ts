import assert from 'node:assert/strict'
import test from 'node:test'
import { signJws } from '../../src/crypto/jws.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { PrivateKey } from '../../src/crypto/provider.ts'
import { validateJwtSvid } from '../../src/identity/jwt-svid.ts'
import { trustBundle, TrustBundles } from '../../src/identity/trust-bundle.ts'
import { unsignedToken } from '../support/tokens.ts'

const crypto = nativeCrypto()
const NOW_MS = Date.UTC(2026, 5, 1)
const NOW = NOW_MS / 1000
const own = crypto.generateKey('ec-p256')
const foreign = crypto.generateKey('ec-p256')
const bundles = TrustBundles.of(
  trustBundle('shop.example', [], [{ keyId: 'k1', spki: own.publicKey.spki }]),
  trustBundle('bank.example', [], [{ keyId: 'k1', spki: foreign.publicKey.spki }]),
)
const CLAIMS = { sub: 'spiffe://shop.example/web', aud: ['catalog'], exp: NOW + 300 }

function judge(claims: object, { key = own, keyId = 'k1' }: { key?: PrivateKey; keyId?: string } = {}) {
  const token = signJws(claims as Record<string, unknown>, { key, keyId })
  return validateJwtSvid(token, { audience: 'catalog', bundles, crypto, nowMs: NOW_MS })
}

test('validateJwtSvid tells whom a token proves, with all that it claims', () => {
  const { id, claims } = judge({ ...CLAIMS, role: 'x' })
  assert.equal(id.toString(), CLAIMS.sub)
  assert.deepEqual(claims, { ...CLAIMS, role: 'x' })
  // Who signs is up to each trust domain for itself, whatever its keys are called.
  assert.equal(
    judge({ ...CLAIMS, sub: 'spiffe://bank.example/a' }, { key: foreign }).id.trustDomain,
    'bank.example',
  )
})

test('validateJwtSvid refuses every token that does not prove its subject to this audience now', () => {
  const refused: readonly [string, () => unknown][] = [
    ['TOKEN_SIGNATURE', () => judge(CLAIMS, { key: foreign })],
    ['TOKEN_SIGNATURE', () => judge({ ...CLAIMS, sub: 'spiffe://bank.example/a' })],
    ['TOKEN_KEY', () => judge(CLAIMS, { keyId: 'k2' })],
    ['TOKEN_KEY', () => judge({ ...CLAIMS, sub: 'spiffe://nobody.example/a' })],
    ['TOKEN_AUDIENCE', () => judge({ ...CLAIMS, aud: ['other'] })],
    ['TOKEN_AUDIENCE', () => judge({ ...CLAIMS, aud: undefined })],
    ['TOKEN_EXPIRED', () => judge({ ...CLAIMS, exp: NOW - 60 })],
    ['TOKEN_CLAIMS', () => judge({ ...CLAIMS, exp: undefined })],
    ['TOKEN_CLAIMS', () => judge({ ...CLAIMS, sub: undefined })],
    ['TOKEN_CLAIMS', () => judge({ ...CLAIMS, sub: 'spiffe://shop.example' })],
    ['TOKEN_NOT_YET_VALID', () => judge({ ...CLAIMS, iat: NOW + 120 })],
    [
      'TOKEN_KEY',
      () => validateJwtSvid(unsignedToken(CLAIMS), { audience: 'catalog', bundles, crypto, nowMs: NOW_MS }),
    ],
    ['TOKEN_MALFORMED', () => validateJwtSvid('x', { audience: 'catalog', bundles, crypto, nowMs: NOW_MS })],
  ]
  for (const [code, act] of refused) assert.throws(act, { code })
})
