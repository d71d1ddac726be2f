import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { CaError, type CaErrorCode } from '../../src/ca/errors.ts'
import { KubernetesApi } from '../../src/ca/kubernetes-api.ts'
import { KubernetesAttestor } from '../../src/ca/kubernetes-attestor.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { mintRoot } from '../support/certificates.ts'
import { authenticated, type FakeKubernetes, fakeKubernetes, pod } from '../support/fake-kubernetes.ts'
import { memoryCa } from '../support/memory-ca.ts'
import { signToken, tokenSigner } from '../support/tokens.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { writeFile } from 'node:fs/promises'

const NOW_MS = Date.UTC(2026, 5, 1, 12)
const NOW = NOW_MS / 1000
const crypto = nativeCrypto()
const cluster = tokenSigner('RS256', 'cluster')
const BOUND = { 'pod-name': 'web-1', 'pod-uid': 'uid-1', 'node-name': 'node-1' }

/** As kube-apiserver signs it for a projected volume. */
function token(claims: Readonly<Record<string, unknown>> = {}): string {
  return signToken(cluster, {
    iss: 'https://kubernetes.default.svc',
    aud: ['handfast'],
    exp: NOW + 600,
    iat: NOW,
    nbf: NOW,
    sub: 'system:serviceaccount:shop:web',
    ...claims,
  })
}

async function world(t: TestContext, checkPods = true) {
  const kubernetes = await fakeKubernetes(t)
  const attestor = new KubernetesAttestor({
    reviewer: new KubernetesApi(kubernetes),
    trustDomain: 'example.org',
    audience: 'handfast',
    clockSkewMs: 60_000,
    checkPods,
  })
  const ca = await memoryCa(NOW_MS, { attestors: { kubernetes: attestor } })
  const csr = createCsr(crypto.generateKey('ec-p256'))
  const issue = (text: string) => ca.issuer.issue(csr, { kind: 'kubernetes', token: text }, { nowMs: NOW_MS })
  const refuse = async (text: string, code: CaErrorCode, message = /./): Promise<void> => {
    const before = ca.journal.entries.length
    await assert.rejects(issue(text), (error) => {
      assert.ok(error instanceof CaError)
      assert.equal(error.code, code, error.message)
      assert.match(error.message, message)
      return true
    })
    assert.deepEqual(
      ca.journal.entries.slice(before).map((entry) => entry.kind === 'refused' && entry.code),
      [code],
    )
  }
  return { kubernetes, ca, issue, refuse }
}

function accept(kubernetes: FakeKubernetes, ...args: Parameters<typeof authenticated>): string {
  const text = token()
  kubernetes.reviews.set(text, authenticated(...args))
  return text
}

test('KubernetesAttestor proves the service account that the API vouches for, and looks at its pod', async (t) => {
  const { kubernetes, ca, issue } = await world(t)
  const text = accept(kubernetes, 'shop/web', BOUND)
  kubernetes.pods.set('shop/web-1', pod('uid-1', 'web', 'node-1'))
  const { caller } = await issue(text)
  assert.equal(caller.id.toString(), 'spiffe://example.org/ns/shop/sa/web')
  assert.equal(caller.proof, 'kubernetes:shop/web-1 uid-1 on node-1')
  assert.deepEqual(kubernetes.asked, [
    {
      path: '/apis/authentication.k8s.io/v1/tokenreviews',
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token: text, audiences: ['handfast'] },
      },
    },
    { path: '/api/v1/namespaces/shop/pods/web-1', body: undefined },
  ])
  assert.ok(!JSON.stringify(ca.journal.entries).includes(text))
})

test('KubernetesAttestor takes a token that is bound to no pod, and asks for none if told so', async (t) => {
  const bound = await world(t)
  const { caller } = await bound.issue(accept(bound.kubernetes, 'shop/web'))
  assert.equal(caller.proof, 'kubernetes:shop/web')
  assert.equal(bound.kubernetes.asked.length, 1)

  const lax = await world(t, false)
  await lax.issue(accept(lax.kubernetes, 'shop/web', BOUND))
  assert.equal(lax.kubernetes.asked.length, 1)
})

test('KubernetesAttestor refuses what the API refuses, by its reason where that can be told', async (t) => {
  const { kubernetes, refuse } = await world(t)
  await refuse(token({ exp: NOW - 61 }), 'CA_TOKEN_EXPIRED', /invalid bearer token/)
  await refuse(token({ aud: ['api'] }), 'CA_TOKEN_AUDIENCE')
  await refuse(token({ nbf: NOW + 120 }), 'CA_TOKEN_NOT_YET_VALID')
  await refuse(token(), 'CA_TOKEN_REFUSED')
  await refuse('no token', 'CA_TOKEN_MALFORMED')
  const gone = token()
  kubernetes.reviews.set(gone, {
    user: {},
    error: '[invalid bearer token, service account token has been invalidated]',
  })
  await refuse(gone, 'CA_POD_GONE')
})

test('KubernetesAttestor refuses a token whose audience the API has not confirmed', async (t) => {
  const { kubernetes, refuse } = await world(t)
  await refuse(accept(kubernetes, 'shop/web', {}, ['api']), 'CA_TOKEN_AUDIENCE')
  await refuse(accept(kubernetes, 'shop/web', {}, []), 'CA_TOKEN_AUDIENCE')
})

test('KubernetesAttestor refuses who is no service account, and answers that contradict themselves', async (t) => {
  const { kubernetes, refuse } = await world(t)
  const as = (change: Readonly<Record<string, unknown>>): string => {
    const text = token()
    kubernetes.reviews.set(text, { ...authenticated('shop/web'), ...change })
    return text
  }
  for (const username of [
    'admin',
    'system:serviceaccount:shop',
    'system:serviceaccount:a/b:c',
    'system:node:x',
  ])
    await refuse(as({ user: { username } }), 'CA_TOKEN_CLAIMS')
  await refuse(as({ error: 'but' }), 'CA_TOKEN_REFUSED')
  await refuse(as({ authenticated: 'true' }), 'CA_TOKEN_REFUSED')
  await refuse(as({ user: {} }), 'CA_TOKEN_REFUSED')
})

test('KubernetesAttestor refuses a token whose pod is gone, was made anew, has ended, or is elsewhere', async (t) => {
  const { kubernetes, refuse } = await world(t)
  const text = accept(kubernetes, 'shop/web', BOUND)
  await refuse(text, 'CA_POD_GONE')
  for (const [found, code] of [
    [pod('uid-2', 'web', 'node-1'), 'CA_POD_GONE'],
    [pod('uid-1', 'web', 'node-1', 'Succeeded'), 'CA_POD_GONE'],
    [pod('uid-1', 'other', 'node-1'), 'CA_TOKEN_CLAIMS'],
    [pod('uid-1', 'web', 'node-2'), 'CA_TOKEN_CLAIMS'],
  ] as const) {
    kubernetes.pods.set('shop/web-1', found)
    await refuse(text, code)
  }
})

test('KubernetesAttestor says what to mend when the API is of no use', async (t) => {
  const { kubernetes, refuse } = await world(t)
  const text = accept(kubernetes, 'shop/web', BOUND)
  kubernetes.failure = 403
  await refuse(text, 'CA_ATTESTATION_UNAVAILABLE', /status 403.*system:auth-delegator/)
  kubernetes.failure = 302
  await refuse(text, 'CA_ATTESTATION_UNAVAILABLE', /status 302/)
  kubernetes.failure = undefined
  await writeFile(kubernetes.tokenFile, 'of somebody else')
  await refuse(text, 'CA_ATTESTATION_UNAVAILABLE', /status 401/)
  await writeFile(kubernetes.caFile, encodePem('CERTIFICATE', (await mintRoot()).certificate.der))
  await refuse(text, 'CA_ATTESTATION_UNAVAILABLE', /certificate/)
})
