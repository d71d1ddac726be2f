import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { compilePolicies } from '../../../src/authz/compile.ts'
import { parsePolicies } from '../../../src/authz/parse.ts'
import type { PolicySet } from '../../../src/authz/policy-set.ts'
import { decisionIds } from '../../../src/proxy/decision-ids.ts'
import { TRUST_DOMAIN } from '../../support/certificates.ts'
import { mirrored, type Mirrored } from '../../support/http-mirror.ts'
import { crypto, type Fetched, fetchFrom, policy, allow, type World } from '../../support/proxy-world.ts'
import { jwksOf, signToken, tokenSigner, type TokenSigner } from '../../support/tokens.ts'

const signer = tokenSigner('ES256', 'one')
const claims = (more: Record<string, unknown> = {}) => ({
  iss: 'https://issuer.example',
  sub: 'alice',
  exp: Math.floor(Date.now() / 1000) + 300,
  groups: ['dev'],
  ...more,
})
const ALICE = signToken(signer, claims())

/** Only developers may read; everybody may knock. */
function withTokens(rule = `jwks: '${jwksOf(signer)}'`): PolicySet {
  const text = `apiVersion: handfast.dev/v1alpha1
kind: RequestAuthentication
metadata: { name: tokens, namespace: shop }
spec:
  jwtRules:
    - issuer: https://issuer.example
      ${rule}
---
apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: readers, namespace: shop }
spec:
  action: ALLOW
  rules:
    - to: [{ paths: [/knock] }]
    - from: [{ requestPrincipals: ["https://issuer.example/*"] }]
      when: [{ key: "request.auth.claims[groups]", values: [dev] }]
`
  return compilePolicies(parsePolicies([{ name: 'policy.yaml', text }]), {
    crypto,
    trustDomain: TRUST_DOMAIN,
    newId: decisionIds(crypto),
  })
}

async function shop(t: TestContext, policies = withTokens()): Promise<World> {
  const { world } = await mirrored(t)
  await world.catalog.publishPolicy(policies)
  return world
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
const seen = ({ text }: Fetched): Mirrored['headers'] => (JSON.parse(text) as Mirrored).headers

test('proxy gives policy the claims of a token that holds, and keeps the token from the application', async (t) => {
  const { entry, catalog } = await shop(t)
  const read = await fetchFrom(entry, { path: '/items', ...bearer(ALICE) })
  assert.equal(read.status, 200)
  assert.equal(seen(read)['authorization'], undefined)
  assert.equal((await fetchFrom(entry, { path: '/items' })).status, 403)
  assert.equal((await fetchFrom(entry, { path: '/knock' })).status, 200)
  const stranger = signToken(signer, claims({ groups: ['ops'] }))
  assert.equal((await fetchFrom(entry, { path: '/items', ...bearer(stranger) })).status, 403)
  const { text } = await fetchFrom(catalog.admin, { path: '/flight-log' })
  assert.match(text, /"requestPrincipal":"https:\/\/issuer\.example\/alice","claims":\{"groups":\["dev"\]\}/)
  assert.ok(!text.includes(ALICE.slice(0, 20)))
})

test('proxy answers a token that does not hold with 401, an id and nothing else, even where policy would permit', async (t) => {
  const { entry, catalog } = await shop(t)
  const refused = await fetchFrom(entry, { path: '/knock', ...bearer(`${ALICE.slice(0, -4)}AAAA`) })
  assert.equal(refused.status, 401)
  const id = String(refused.headers['x-handfast-decision'])
  assert.deepEqual(JSON.parse(refused.text), { decision: id })
  assert.equal(refused.headers['www-authenticate'], 'Bearer')
  const decision = JSON.parse((await fetchFrom(catalog.admin, { path: `/decisions?id=${id}` })).text) as {
    cause: string
    reason: string
  }
  assert.equal(decision.cause, 'invalid-token')
  assert.match(decision.reason, /^TOKEN_SIGNATURE: /)
})

test('proxy takes a token from a cookie, takes only that one out, and leaves tokens alone that are to be passed on', async (t) => {
  const keys = `jwks: '${jwksOf(signer)}'`
  const { entry, catalog } = await shop(t, withTokens(`${keys}\n      fromCookies: [session]`))
  const headers = { cookie: `a=1; session=${ALICE}; b=2` }
  const read = await fetchFrom(entry, { path: '/items', headers })
  assert.equal(read.status, 200)
  assert.equal(seen(read)['cookie'], 'a=1; b=2')
  await catalog.publishPolicy(
    withTokens(`${keys}\n      fromHeaders: [{ name: x-token }]\n      fromCookies: [session]`),
  )
  const twice = await fetchFrom(entry, { path: '/items', headers: { ...headers, 'x-token': ALICE } })
  assert.equal(twice.status, 200)
  assert.ok(!twice.text.includes(ALICE), 'nor when it comes twice')
  await catalog.publishPolicy(withTokens(`${keys}\n      forwardOriginalToken: true`))
  const passed = await fetchFrom(entry, { path: '/items', ...bearer(ALICE) })
  assert.equal(seen(passed)['authorization'], `Bearer ${ALICE}`)
})

test('proxy refuses tokens by name until the keys of their issuer are there, and keeps to the newest', async (t) => {
  const policies = withTokens('jwksUrl: https://issuer.example/keys')
  const { entry, catalog } = await shop(t, policies)
  const status = async (): Promise<number> =>
    (await fetchFrom(entry, { path: '/items', ...bearer(ALICE) })).status
  const publish = async (...signers: TokenSigner[]): Promise<void> => {
    catalog.views.publishPolicy(policies, {
      keySets: new Map([['https://issuer.example/keys', jwksOf(...signers)]]),
    })
    await catalog.settled()
  }
  assert.equal(await status(), 401)
  await publish(signer)
  assert.equal(await status(), 200)
  await publish(tokenSigner('ES256', 'newer'))
  assert.equal(await status(), 401)
  await catalog.publishPolicy(policy(allow('web')))
  assert.equal(await status(), 200, 'nobody asks for tokens any more')
})
