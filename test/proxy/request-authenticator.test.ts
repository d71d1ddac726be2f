import assert from 'node:assert/strict'
import test from 'node:test'
import type { JwtRule, RequestAuthentication } from '../../src/config/request-authentication-config.ts'
import { API_VERSION } from '../../src/config/fields.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { TokenErrorCode } from '../../src/identity/errors.ts'
import { RequestAuthenticator, type RequestProof } from '../../src/proxy/request-authenticator.ts'
import { hmacToken, jwksOf, signToken, tokenSigner, unsignedToken } from '../support/tokens.ts'

const crypto = nativeCrypto()
const NOW = 1_780_000_000
const [signer, other] = [tokenSigner('ES256', 'one'), tokenSigner('RS256', 'two')]
const CLAIMS = {
  iss: 'https://issuer.example',
  sub: 'alice',
  aud: ['shop', 'x'],
  exp: NOW + 300,
  groups: ['dev'],
}
const TOKEN = signToken(signer, CLAIMS)

const RULE: JwtRule = {
  issuer: 'https://issuer.example',
  audiences: ['shop'],
  algorithms: ['ES256'],
  jwks: jwksOf(signer, other),
  forwardOriginalToken: false,
}

function resource(...jwtRules: readonly JwtRule[]): RequestAuthentication {
  return {
    apiVersion: API_VERSION,
    kind: 'RequestAuthentication',
    metadata: { name: 'tokens', namespace: 'shop' },
    spec: { jwtRules },
  }
}

type Headers = Readonly<Record<string, readonly string[]>>

function prove(
  headers: Headers,
  rules: readonly JwtRule[] = [RULE],
  { nowMs = NOW * 1000, keySets = new Map<string, string>() } = {},
): RequestProof {
  return new RequestAuthenticator([resource(...rules)], { keySets, crypto }).prove(
    { headersDistinct: headers },
    nowMs,
  )
}

/** What a proof comes to: the principal, `none`, or the code of the refusal. */
function told(proof: RequestProof): string {
  if (proof.kind === 'token') return proof.token.principal
  return proof.kind === 'none' ? 'none' : proof.error.code
}

const bearer = (...tokens: readonly string[]): Headers => ({
  authorization: tokens.map((token) => `Bearer ${token}`),
})

test('RequestAuthenticator gives the claims and the principal of a token that holds, and nothing where there is none', () => {
  const proof = prove(bearer(TOKEN))
  assert.ok(proof.kind === 'token')
  assert.equal(proof.token.principal, 'https://issuer.example/alice')
  assert.deepEqual(proof.token.claims['groups'], ['dev'])
  assert.equal(told(prove({})), 'none')
  assert.equal(told(prove({ authorization: ['Basic dXNlcjpwYXNz'] })), 'none')
  assert.equal(told(prove(bearer(TOKEN), [])), 'none', 'nobody asks for tokens')
  assert.equal(told(prove({ authorization: [`bEARER ${TOKEN}`] })), 'https://issuer.example/alice')
})

const impostor = { ...tokenSigner('ES256', 'x'), keyId: 'one' }
const REFUSALS: Readonly<Record<string, readonly [Headers, TokenErrorCode]>> = {
  'no token at all': [bearer('nonsense'), 'TOKEN_MALFORMED'],
  'another issuer': [bearer(signToken(signer, { ...CLAIMS, iss: 'https://evil.example' })), 'TOKEN_ISSUER'],
  'no issuer': [bearer(signToken(signer, { ...CLAIMS, iss: undefined })), 'TOKEN_ISSUER'],
  'nobody’s signature': [bearer(unsignedToken(CLAIMS)), 'TOKEN_ALGORITHM'],
  'the public key as a secret': [bearer(hmacToken(RULE.jwks!, CLAIMS)), 'TOKEN_ALGORITHM'],
  'an algorithm that is not allowed': [bearer(signToken(other, CLAIMS)), 'TOKEN_ALGORITHM'],
  'a key that is not published': [bearer(signToken(tokenSigner('ES256', 'three'), CLAIMS)), 'TOKEN_KEY'],
  'the name of another’s key': [bearer(signToken(impostor, CLAIMS)), 'TOKEN_SIGNATURE'],
  'its end behind it': [bearer(signToken(signer, { ...CLAIMS, exp: NOW - 61 })), 'TOKEN_EXPIRED'],
  'no end': [bearer(signToken(signer, { ...CLAIMS, exp: undefined })), 'TOKEN_CLAIMS'],
  'its beginning before it': [bearer(signToken(signer, { ...CLAIMS, nbf: NOW + 61 })), 'TOKEN_NOT_YET_VALID'],
  'another audience': [bearer(signToken(signer, { ...CLAIMS, aud: 'x' })), 'TOKEN_AUDIENCE'],
  'no subject': [bearer(signToken(signer, { ...CLAIMS, sub: undefined })), 'TOKEN_CLAIMS'],
  'a second one beside it': [bearer(TOKEN, signToken(signer, { ...CLAIMS, sub: 'bob' })), 'TOKEN_AMBIGUOUS'],
}

for (const [name, [headers, code]] of Object.entries(REFUSALS))
  test(`RequestAuthenticator refuses a token with ${name} (${code})`, () => {
    assert.equal(told(prove(headers)), code)
  })

test('RequestAuthenticator takes tokens from the headers and cookies that are named, and from no others', () => {
  const rule: JwtRule = {
    ...RULE,
    fromHeaders: [{ name: 'x-token' }, { name: 'x-auth', prefix: 'JWT ' }],
    fromCookies: ['session'],
  }
  const alice = 'https://issuer.example/alice'
  assert.equal(told(prove({ 'x-token': [TOKEN] }, [rule])), alice)
  assert.equal(told(prove({ 'x-auth': [`JWT ${TOKEN}`] }, [rule])), alice)
  assert.equal(told(prove({ 'x-auth': [TOKEN] }, [rule])), 'none')
  assert.equal(told(prove({ cookie: [`a=1; session=${TOKEN}; b`] }, [rule])), alice)
  assert.equal(told(prove({ cookie: ['a=1', `session="${TOKEN}"`] }, [rule])), alice)
  assert.equal(told(prove(bearer(TOKEN), [rule])), 'none')
  assert.equal(
    told(prove({ 'x-token': [TOKEN], cookie: [`session=${TOKEN}`] }, [rule])),
    alice,
    'the same twice',
  )
  assert.equal(told(prove({ cookie: [`session=${TOKEN}; session=other`] }, [rule])), 'TOKEN_AMBIGUOUS')
  assert.equal(told(prove({ cookie: [`session=${TOKEN}`] }, [RULE])), 'none')
  const elsewhere = { ...RULE, issuer: 'https://else.example', fromCookies: ['session'] }
  assert.equal(
    told(prove({ cookie: [`session=${TOKEN}`] }, [RULE, elsewhere])),
    'TOKEN_ISSUER',
    'not from there',
  )
})

test('RequestAuthenticator uses the keys that it is given, and refuses by name as long as there are none', () => {
  const { jwks: _, ...published } = RULE
  const rule: JwtRule = { ...published, jwksUrl: 'https://issuer.example/keys' }
  assert.equal(told(prove(bearer(TOKEN), [rule])), 'TOKEN_KEYS_MISSING')
  const keySets = new Map([['https://issuer.example/keys', jwksOf(signer)]])
  assert.equal(told(prove(bearer(TOKEN), [rule], { keySets })), 'https://issuer.example/alice')
  keySets.set('https://issuer.example/keys', jwksOf(other))
  assert.equal(told(prove(bearer(TOKEN), [rule], { keySets })), 'TOKEN_KEY')
})

test('RequestAuthenticator tries every rule of an issuer, and judges a remembered token by the time of each request', () => {
  const rules = [{ ...RULE, audiences: ['billing'] }, RULE]
  assert.equal(told(prove(bearer(TOKEN), rules)), 'https://issuer.example/alice')
  const authenticator = new RequestAuthenticator([resource(RULE)], { keySets: new Map(), crypto })
  const at = (seconds: number): string =>
    told(authenticator.prove({ headersDistinct: bearer(TOKEN) }, (NOW + seconds) * 1000))
  assert.equal(at(0), 'https://issuer.example/alice')
  assert.equal(at(359), 'https://issuer.example/alice')
  assert.equal(at(360), 'TOKEN_EXPIRED')
})
