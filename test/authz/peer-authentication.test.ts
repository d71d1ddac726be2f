import assert from 'node:assert/strict'
import test from 'node:test'
import { parsePolicies } from '../../src/authz/parse.ts'
import { checkModes, effectiveMode } from '../../src/authz/peer-authentication.ts'
import { deserializePolicies, serializePolicies } from '../../src/authz/serialize.ts'
import { ConfigError } from '../../src/config/errors.ts'
import type { PeerAuthentication } from '../../src/config/peer-authentication-config.ts'

const resource = (name: string, spec: string): string => {
  const [namespace, own] = name.split('/')
  return `apiVersion: handfast.dev/v1alpha1
kind: PeerAuthentication
metadata: { name: ${own}, namespace: ${namespace} }
spec: ${spec}
`
}

const parse = (...texts: readonly string[]): readonly PeerAuthentication[] => {
  const resources = parsePolicies([{ name: 'p.yaml', text: texts.join('---\n') }])
  const sent = deserializePolicies(serializePolicies(resources))
  return sent.peerAuthentications
}

const CATALOG = { namespace: 'shop', serviceAccount: 'catalog' }

const MESH = resource('handfast-system/mesh', '{ mtls: { mode: PERMISSIVE } }')
const NAMESPACE = resource('shop/all', '{ mtls: { mode: DISABLE } }')
const WORKLOAD = resource(
  'shop/catalog',
  '{ selector: { serviceAccounts: [catalog] }, mtls: { mode: STRICT }, portLevelMtls: { "9090": { mode: PERMISSIVE } } }',
)

test('effectiveMode is that of the narrowest resource that sets one', () => {
  const mode = (texts: readonly string[], port = 80, workload = CATALOG): unknown =>
    effectiveMode(parse(...texts), workload, port)
  assert.deepEqual(mode([]), { mode: 'STRICT' })
  assert.deepEqual(mode([MESH]), { mode: 'PERMISSIVE', setBy: 'handfast-system/mesh' })
  assert.deepEqual(mode([MESH, NAMESPACE]), { mode: 'DISABLE', setBy: 'shop/all' })
  assert.deepEqual(mode([MESH, NAMESPACE, WORKLOAD]), { mode: 'STRICT', setBy: 'shop/catalog' })
  assert.deepEqual(mode([WORKLOAD, NAMESPACE, MESH], 9090), { mode: 'PERMISSIVE', setBy: 'shop/catalog' })
  const elsewhere = { namespace: 'batch', serviceAccount: 'catalog' }
  assert.deepEqual(mode([NAMESPACE, WORKLOAD], 9090, elsewhere), { mode: 'STRICT' })
  assert.deepEqual(mode([MESH, NAMESPACE, WORKLOAD], 9090, elsewhere), {
    mode: 'PERMISSIVE',
    setBy: 'handfast-system/mesh',
  })
})

test('effectiveMode goes past a resource that sets modes for other ports only', () => {
  const ports = '{ selector: { serviceAccounts: [catalog] }, portLevelMtls: { "9090": { mode: DISABLE } } }'
  const resources = parse(NAMESPACE, resource('shop/ports', ports))
  assert.deepEqual(effectiveMode(resources, CATALOG, 80), { mode: 'DISABLE', setBy: 'shop/all' })
  assert.deepEqual(effectiveMode(resources, CATALOG, 9090), { mode: 'DISABLE', setBy: 'shop/ports' })
  assert.deepEqual(effectiveMode(resources, { ...CATALOG, serviceAccount: 'web' }, 9090), {
    mode: 'DISABLE',
    setBy: 'shop/all',
  })
})

test('checkModes refuses what a proxy cannot put in force, and lets STRICT be', () => {
  checkModes(parse(WORKLOAD), CATALOG, [80, 443])
  checkModes(parse(MESH), CATALOG, [])
  assert.throws(() => checkModes(parse(WORKLOAD), CATALOG, [80, 9090]), {
    code: 'AUTHZ_MODE_NOT_AVAILABLE',
    message:
      'PeerAuthentication shop/catalog sets PERMISSIVE for port 9090, and this proxy serves mutual TLS only; set STRICT',
  })
  // Where the port may be any, each that is named counts, and what holds for all others.
  assert.throws(() => checkModes(parse(WORKLOAD), CATALOG, undefined), {
    message: /PERMISSIVE for port 9090/,
  })
  assert.throws(() => checkModes(parse(MESH), CATALOG, undefined), {
    message: /PERMISSIVE for its workloads/,
  })
  checkModes(parse(resource('shop/m', '{ mtls: { mode: STRICT } }'), MESH), CATALOG, undefined)
})

test('parsePolicies refuses PeerAuthentications of the same scope, and ones that say nothing', () => {
  const problems: Readonly<Record<string, readonly string[]>> = {
    'p.yaml:9:3 spec: expected one PeerAuthentication for each scope, got a second one beside shop/a': [
      resource('shop/a', '{ mtls: { mode: STRICT } }'),
      resource('shop/b', '{ mtls: { mode: STRICT } }'),
    ],
    'p.yaml:9:40 spec.selector.serviceAccounts[1]: expected one PeerAuthentication for each scope, got a second one beside shop/a':
      [
        resource('shop/a', '{ selector: { serviceAccounts: [x] }, mtls: { mode: STRICT } }'),
        resource('shop/b', '{ selector: { serviceAccounts: [y, x] }, mtls: { mode: STRICT } }'),
      ],
    'p.yaml:4:1 spec: expected at least one of mtls, portLevelMtls, got a mapping': [
      resource('shop/a', '{ selector: { serviceAccounts: [x] } }'),
    ],
    'p.yaml:4:1 spec.selector: expected a selector, because ports are those of some workload, got nothing': [
      resource('shop/a', '{ portLevelMtls: { "80": { mode: STRICT } } }'),
    ],
    'p.yaml:4:44 spec.mtls.mode: expected one of "STRICT", "PERMISSIVE", "DISABLE", got "MUTUAL"': [
      resource('shop/a', '{ selector: { serviceAccounts: [x] }, mtls: { mode: MUTUAL } }'),
    ],
  }
  for (const [problem, texts] of Object.entries(problems)) {
    assert.throws(
      () => parse(...texts),
      (thrown: unknown) => {
        assert.ok(thrown instanceof ConfigError)
        assert.equal(thrown.message.replace(/^(\S+):\d+:\d+/, ''), problem.replace(/^(\S+):\d+:\d+/, ''))
        return true
      },
    )
  }
})
