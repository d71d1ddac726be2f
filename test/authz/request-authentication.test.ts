import assert from 'node:assert/strict'
import test from 'node:test'
import { parsePolicies } from '../../src/authz/parse.ts'
import { policyResources, resourcesFor } from '../../src/authz/resources.ts'
import { deserializePolicies, serializePolicies } from '../../src/authz/serialize.ts'
import { ConfigError } from '../../src/config/errors.ts'
import { keySetNames } from '../../src/config/request-authentication-config.ts'

function parsed(rule: string, selector = '') {
  const text = `apiVersion: handfast.dev/v1alpha1
kind: RequestAuthentication
metadata: { name: tokens, namespace: shop }
spec: { ${selector}jwtRules: [${rule}] }
`
  return parsePolicies([{ name: 'tokens.yaml', text }])
}

function problems(rule: string): string[] {
  try {
    parsed(rule)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems.map(({ field, expected, got }) => `${field}: expected ${expected}, got ${got}`)
  }
}

test('RequestAuthentication travels to proxies in one spelling', () => {
  const rule = `{ issuer: i, audiences: [b, a, b], algorithms: [RS256, ES256], jwksUrl: "https://i.example/keys",
    fromHeaders: [{ name: x-token, prefix: "JWT " }, { name: authorization }], fromCookies: [z, a] }`
  const text = serializePolicies(parsed(rule))
  assert.equal(serializePolicies(deserializePolicies(text)), text)
  const [resource] = deserializePolicies(text).requestAuthentications
  assert.deepEqual(resource?.spec.jwtRules[0], {
    issuer: 'i',
    audiences: ['a', 'b'],
    algorithms: ['ES256', 'RS256'],
    jwksUrl: 'https://i.example/keys',
    fromHeaders: [{ name: 'x-token', prefix: 'JWT ' }, { name: 'authorization' }],
    fromCookies: ['z', 'a'],
    forwardOriginalToken: false,
  })
})

test('RequestAuthentication is for the workloads of its namespace, or those that it selects', () => {
  const count = (selector: string, namespace: string): number =>
    resourcesFor(policyResources(parsed('{ issuer: i, jwksFile: k }', selector).requestAuthentications), {
      namespace,
      serviceAccount: 'catalog',
    }).requestAuthentications.length
  assert.deepEqual([count('', 'shop'), count('', 'other')], [1, 0])
  assert.deepEqual([count('selector: { serviceAccounts: [web] }, ', 'shop')], [0])
})

test('RequestAuthentication wants its keys from exactly one place', () => {
  const field = 'spec.jwtRules[0]'
  assert.deepEqual(problems('{ issuer: i, jwksFile: k }'), [])
  assert.deepEqual(problems('{ issuer: i }'), [
    `${field}.jwks: expected one of jwks, jwksFile, jwksUrl, got none`,
  ])
  assert.deepEqual(problems('{ issuer: i, jwksFile: k, jwksUrl: "https://i.example/k" }'), [
    `${field}.jwksUrl: expected one of jwks, jwksFile, jwksUrl, got jwksFile and jwksUrl`,
  ])
  assert.deepEqual(problems('{ issuer: i, jwksUrl: "http://i.example/k" }'), [
    `${field}.jwksUrl: expected an https URL, got "http://i.example/k"`,
  ])
  assert.deepEqual(problems('{ issuer: i, jwks: "{}" }'), [
    `${field}.jwks: expected a key set as JSON, such as {"keys": []}, got "{}"`,
  ])
  assert.equal(problems('{ issuer: i, jwksFile: k, jwksCaFile: ca }').length, 1)
})

test('keySetNames names the places that a controller fetches keys from', () => {
  const { requestAuthentications } = parsed(
    `{ issuer: a, jwksFile: k }, { issuer: b, jwksUrl: "https://b.example/k" }, { issuer: c, jwks: '{"keys":[]}' }`,
  )
  assert.deepEqual(keySetNames(requestAuthentications), ['file:k', 'https://b.example/k'])
})
