import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { compilePolicies } from '../../src/authz/compile.ts'
import { policyResources } from '../../src/authz/resources.ts'
import { deserializePolicies, serializePolicies } from '../../src/authz/serialize.ts'
import { isPrincipalPattern, isWorkloadId } from '../../src/config/spiffe.ts'
import type { AuthorizationPolicy } from '../../src/config/policy-config.ts'
import { naivelyAllowed } from './naive-evaluator.ts'
import { compileOptions, fieldsOf } from './support.ts'

/** Few names, so that they meet. */
const principals = [
  'spiffe://td/ns/a/sa/x',
  'spiffe://td/ns/a/sa/xy',
  'spiffe://td/ns/ab/sa/x',
  'spiffe://td/ns/a/sa/x/more',
  'spiffe://td/ns/a',
  'spiffe://td.d/ns/a/sa/x',
  'spiffe://tdxd/ns/a/sa/x',
  'spiffe://td/vm/1',
]
const principalPatterns = [
  ...principals,
  '*',
  'spiffe://td/*',
  'spiffe://td/ns/*',
  'spiffe://td/ns/a/*',
  'spiffe://td/ns/*/sa/x',
  'spiffe://td/ns/*/sa/x*',
  'spiffe://td/ns/a*/sa/*',
  'spiffe://td.d/ns/a/sa/*',
  'spiffe://td/*/*',
  'spiffe://td/ns/a/sa/x*',
]
const namespaces = ['a', 'ab', 'handfast-system']
const paths = ['/', '/a', '/a/', '/a/b', '/ab', '*', '/%20']

const some = <T>(...values: readonly T[]): fc.Arbitrary<T[]> =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 })

/** One to three of the fields: with more, hardly anything would match. */
const optionally = <T extends object>(fields: {
  readonly [Key in keyof T]: fc.Arbitrary<T[Key]>
}): fc.Arbitrary<Partial<T>> =>
  fc
    .subarray(Object.keys(fields) as (keyof T)[], { minLength: 1, maxLength: 3 })
    .chain((keys) => fc.record(Object.fromEntries(keys.map((key) => [key, fields[key]])))) as fc.Arbitrary<
    Partial<T>
  >

const source = optionally({
  principals: some(...principalPatterns),
  notPrincipals: some(...principalPatterns),
  namespaces: some('a', 'ab', 'a*', '*'),
  notNamespaces: some('a', 'ab', 'a*', '*'),
})

const operation = optionally({
  ports: some(1, 2, 3),
  notPorts: some(1, 2, 3),
  methods: some('GET', 'PUT'),
  notMethods: some('GET', 'PUT'),
  paths: some('/', '/a', '/a*', '/a/*', '/*', '*', '/%20*'),
  notPaths: some('/', '/a', '/a*', '/a/*', '/*', '*', '/%20*'),
})

const rule = fc.record(
  {
    from: fc.array(source, { minLength: 1, maxLength: 2 }),
    to: fc.array(operation, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: [], noNullPrototype: true },
)

const spec = fc.record(
  {
    selector: fc.record({ serviceAccounts: some('x', 'y') }, { noNullPrototype: true }),
    action: fc.constantFrom('ALLOW' as const, 'ALLOW' as const, 'DENY' as const),
    rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: ['action', 'rules'], noNullPrototype: true },
)

const policies: fc.Arbitrary<AuthorizationPolicy[]> = fc
  .array(fc.record({ namespace: fc.constantFrom(...namespaces), spec }), { minLength: 1, maxLength: 4 })
  .map((list) =>
    list.map(({ namespace, spec }, index) => ({
      apiVersion: 'handfast.dev/v1alpha1',
      kind: 'AuthorizationPolicy',
      metadata: { name: `p${index}`, namespace },
      spec,
    })),
  )

const request = fc.record(
  {
    principal: fc.constantFrom(...principals),
    workload: fc.record(
      { namespace: fc.constantFrom(...namespaces), serviceAccount: fc.constantFrom('x', 'y', 'z') },
      { noNullPrototype: true },
    ),
    port: fc.constantFrom(1, 2, 3, 4),
    http: fc.record(
      { method: fc.constantFrom('GET', 'PUT', 'POST'), path: fc.constantFrom(...paths) },
      { noNullPrototype: true },
    ),
  },
  { requiredKeys: ['principal', 'workload', 'port'], noNullPrototype: true },
)

test('PolicySet decides like the naive evaluator, before and after the wire', () => {
  const seen = { permit: 0, denial: 0 }
  fc.assert(
    fc.property(policies, fc.array(request, { minLength: 1, maxLength: 4 }), (policies, requests) => {
      const resources = policyResources(policies)
      const set = compilePolicies(resources, compileOptions())
      const sent = compilePolicies(deserializePolicies(serializePolicies(resources)), compileOptions())
      assert.equal(sent.revision, set.revision)
      for (const request of requests) {
        const decision = set.decide(request)
        seen[decision.kind]++
        assert.equal(decision.kind === 'permit', naivelyAllowed(policies, 'td', request))
        assert.deepEqual(fieldsOf(sent.decide(request)), fieldsOf(decision))
        if (decision.kind === 'denial') assert.ok(decision.considered().length <= policies.length)
      }
    }),
    { numRuns: 5_000 },
  )
  // Both outcomes must be common, or agreement would mean little.
  assert.ok(Math.min(seen.permit, seen.denial) > 1_000, JSON.stringify(seen))
})

test('the generated principals and patterns are ones that configuration accepts', () => {
  for (const id of principals) assert.ok(isWorkloadId(id), id)
  for (const pattern of principalPatterns) assert.ok(isPrincipalPattern(pattern), pattern)
})
