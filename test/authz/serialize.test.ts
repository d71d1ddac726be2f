import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { compilePolicies } from '../../src/authz/compile.ts'
import { deserializePolicies, serializePolicies } from '../../src/authz/serialize.ts'
import { policyResources } from '../../src/authz/resources.ts'
import { compileOptions, policy, policySet } from './support.ts'

const A = policy(
  'a',
  '{ selector: { serviceAccounts: [y, x] }, action: ALLOW, rules: [{ from: [{ namespaces: [b, a, b] }], to: [{ ports: [80, 9, 80] }] }] }',
)
const B = policy('b', '{ action: DENY, rules: [{ to: [{ paths: [/z, /a] }] }] }')

test('serializePolicies gives the same policies the same text, in whatever order they come', () => {
  assert.equal(serializePolicies(policyResources([B, A])), serializePolicies(policyResources([A, B])))
  assert.equal(
    serializePolicies(policyResources([A])),
    '[{"apiVersion":"handfast.dev/v1alpha1","kind":"AuthorizationPolicy","metadata":{"name":"a","namespace":"shop"},' +
      '"spec":{"selector":{"serviceAccounts":["x","y"]},"action":"ALLOW",' +
      '"rules":[{"from":[{"namespaces":["a","b"]}],"to":[{"ports":[9,80]}]}]}}]',
  )
})

test('deserializePolicies reads what serializePolicies wrote', () => {
  const text = serializePolicies(policyResources([A, B]))
  assert.equal(serializePolicies(deserializePolicies(text)), text)
  assert.deepEqual(deserializePolicies('[]'), policyResources([]))
})

test('deserializePolicies refuses everything else', () => {
  const text = serializePolicies(policyResources([A, B]))
  const refused = [
    '',
    '{}',
    '[1]',
    ` ${text}`,
    `[${JSON.stringify(B)},${JSON.stringify(A)}]`,
    text.replace('"ALLOW"', '"PERHAPS"'),
    text.replace('"selector"', '"selektor"'),
    text.replace('"/a"', '"/a/../b"'),
    text.replace('"name":"b"', '"name":"a"'),
    text.replace('"rules":', '"rules":[],"rules":'),
  ]
  for (const candidate of refused)
    assert.throws(() => deserializePolicies(candidate), {
      name: 'PolicyError',
      code: 'AUTHZ_POLICIES_MALFORMED',
    })
})

test('deserializePolicies accepts no text with a character changed into another policy under the same revision', () => {
  const text = serializePolicies(policyResources([A, B]))
  const revision = policySet(A, B).revision
  fc.assert(
    fc.property(fc.nat({ max: text.length - 1 }), fc.integer({ min: 0x20, max: 0x7e }), (at, code) => {
      const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1)
      if (changed === text) return
      let read
      try {
        read = deserializePolicies(changed)
      } catch (thrown) {
        assert.equal((thrown as Error).name, 'PolicyError')
        return
      }
      assert.notEqual(compilePolicies(read, compileOptions()).revision, revision)
    }),
    { numRuns: 500 },
  )
})

test('deserializePolicies names the field that is wrong', () => {
  const text = serializePolicies(policyResources([A, B])).replace('"paths"', '"path"')
  assert.throws(() => deserializePolicies(text), {
    message:
      'Policies are malformed: policies [1].spec.rules[0].to[0].path: expected one of the keys ports, notPorts, ' +
      'methods, notMethods, hosts, notHosts, paths, notPaths, headers, grpcServices, notGrpcServices, grpcMethods, ' +
      'notGrpcMethods, got an unknown key (did you mean "paths"?)',
  })
})

test('PolicySet.revision is short, and changes with any change of policy', () => {
  const revision = policySet(A, B).revision
  assert.match(revision, /^[0-9a-f]{16}$/)
  assert.equal(policySet(B, A).revision, revision)
  assert.notEqual(policySet(A).revision, revision)
})
