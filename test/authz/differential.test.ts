import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import * as fc from 'fast-check'
import { compilePolicies } from '../../src/authz/compile.ts'
import type { Permit } from '../../src/authz/decide.ts'
import type { Denial } from '../../src/authz/decision.ts'
import { compileExpression } from '../../src/authz/expression.ts'
import type { AuthorizationRequest, HttpRequestHead, RequestToken } from '../../src/authz/request.ts'
import type { PolicySet } from '../../src/authz/policy-set.ts'
import { policyResources, type PolicyResources } from '../../src/authz/resources.ts'
import { deserializePolicies, serializePolicies } from '../../src/authz/serialize.ts'
import type {
  AuthorizationPolicy,
  HeaderCondition,
  PolicyAction,
  PolicyCondition,
  PolicyOperation,
  PolicyRule,
  PolicySource,
} from '../../src/config/policy-config.ts'
import type { AuthorizationDefault } from '../../src/config/policy-resource.ts'
import { isPrincipalPattern, isWorkloadId } from '../../src/config/spiffe.ts'
import { decideNaively, type NaiveContext } from './naive-evaluator.ts'
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
const paths = ['/', '/a', '/a/', '/a/b', '/ab', '/a/c/b', '/x.S/Get', '/x.Sub/List', '*', '/%20']
const pathPatterns = [
  '/',
  '/a',
  '/a*',
  '/a/*',
  '/*',
  '*',
  '/%20*',
  '/{x}',
  '/a/{x}',
  '/a/*/b',
  '/{x}/{y}',
  '/a/{x}/*',
  '/x.S/*',
]
const blocks = ['10.0.0.0/8', '10.1.2.3', '10.1.0.0/16', '0.0.0.0/0', '::/0', 'fd00::/8', 'fd00::1']
const values = ['gold', 'silver', 'g*', '*r', '*', 'iss/web', 'iss/*', '*/web']
const hosts = ['a.example', 'b.a.example', '[::1]']
const hostPatterns = ['a.example', '*.a.example', '*.example', '*', '[::1]']
const services = ['x.S', 'x.S*', 'x.*', 'S', '*']
const calls = ['Get', 'G*', 'List', '*']

/** Expressions, and what they come to, worked out by hand. */
const expressions: NaiveContext['expressions'] = {
  'destination.port > 1': ({ port }) => port > 1,
  'source.namespace == "a" || source.principal.endsWith("/1")': ({ principal }) => {
    const namespace = /^spiffe:\/\/td\/ns\/([^/]+)\/sa\/[^/]+$/.exec(principal)?.[1]
    if (namespace === 'a' || principal.endsWith('/1')) return true
    return namespace === undefined ? undefined : false
  },
  'source.ip.startsWith("10.1.")': ({ sourceIp }) => sourceIp?.startsWith('10.1.'),
  'connection.group == "x25519"': ({ tls }) =>
    tls?.group === undefined ? undefined : tls.group === 'x25519',
  'request.method == "GET" && request.path.startsWith("/a")': ({ http }) =>
    http!.method === 'GET' && http!.path.startsWith('/a'),
  'request.headers["x-tier"] == "gold"': ({ http }) => {
    const lines = http!.headers?.['x-tier']
    return lines === undefined ? undefined : lines.join(', ') === 'gold'
  },
  'has(request.auth.claims.groups) && request.auth.claims.groups.exists(g, g == "gold")': ({ token }) => {
    // A field of what is not there cannot even be asked for.
    if (token === undefined) return undefined
    const { groups } = token.claims
    if (groups === undefined) return false
    // Of a mapping, CEL goes through the keys.
    if (typeof groups !== 'object' || groups === null) return undefined
    return (Array.isArray(groups) ? groups : Object.keys(groups)).includes('gold')
  },
  '!("x-tier" in request.headers)': ({ http }) => http!.headers?.['x-tier'] === undefined,
}

const some = <T>(...values: readonly T[]): fc.Arbitrary<T[]> =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 })

/** One to three of the fields: with more, hardly anything would match. */
const optionally = <T extends object>(fields: {
  readonly [Key in keyof T]: fc.Arbitrary<T[Key]>
}): fc.Arbitrary<Partial<T>> =>
  fc
    .subarray(Object.keys(fields) as (keyof T)[], {
      minLength: 1,
      maxLength: Math.min(3, Object.keys(fields).length),
    })
    .chain((keys) => fc.record(Object.fromEntries(keys.map((key) => [key, fields[key]])))) as fc.Arbitrary<
    Partial<T>
  >

const source: fc.Arbitrary<PolicySource> = optionally({
  principals: some(...principalPatterns),
  notPrincipals: some(...principalPatterns),
  namespaces: some('a', 'ab', 'a*', '*'),
  notNamespaces: some('a', 'ab', 'a*', '*'),
  serviceAccounts: some('x', 'xy', 'a/x', 'ab/x'),
  notServiceAccounts: some('x', 'xy', 'a/x', 'ab/x'),
  trustDomains: some('td', 'td.d'),
  notTrustDomains: some('td', 'td.d'),
  ipBlocks: some(...blocks),
  notIpBlocks: some(...blocks),
  requestPrincipals: some(...values),
  notRequestPrincipals: some(...values),
})

const valueLists = optionally({ values: some(...values), notValues: some(...values) })

const header: fc.Arbitrary<HeaderCondition> = fc
  .tuple(fc.constantFrom('x-tier', 'x-other'), valueLists)
  .map(([name, lists]) => Object.assign({ name }, lists))

const operation: fc.Arbitrary<PolicyOperation> = optionally({
  ports: some(1, 2, 3),
  notPorts: some(1, 2, 3),
  methods: some('GET', 'PUT'),
  notMethods: some('GET', 'PUT'),
  hosts: some(...hostPatterns),
  notHosts: some(...hostPatterns),
  paths: some(...pathPatterns),
  notPaths: some(...pathPatterns),
  headers: fc.array(header, { minLength: 1, maxLength: 2 }),
  grpcServices: some(...services),
  notGrpcServices: some(...services),
  grpcMethods: some(...calls),
  notGrpcMethods: some(...calls),
})

const conditionOn = (keys: readonly string[], wanted: readonly string[]): fc.Arbitrary<PolicyCondition> =>
  fc
    .tuple(fc.constantFrom(...keys), optionally({ values: some(...wanted), notValues: some(...wanted) }))
    .map(([key, lists]) => Object.assign({ key }, lists))

const condition: fc.Arbitrary<PolicyCondition> = fc.oneof(
  conditionOn(['connection.sni', 'connection.alpn'], ['gold', 'h2', '*', 'g*']),
  conditionOn(['connection.group'], ['x25519', 'secp256r1', '*', '*1']),
  conditionOn(
    ['request.auth.claims[groups]', 'request.auth.claims[scope]', 'request.auth.claims[deep][level]'],
    ['gold', 'silver', '3', '*', 'g*', '*r'],
  ),
  fc.constantFrom(...Object.keys(expressions)).map((expression) => ({ expression })),
)

const rule: fc.Arbitrary<PolicyRule> = fc.record(
  {
    from: fc.array(source, { minLength: 1, maxLength: 2 }),
    to: fc.array(operation, { minLength: 1, maxLength: 2 }),
    when: fc.array(condition, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: [], noNullPrototype: true },
)

const spec = fc.record(
  {
    selector: fc.record({ serviceAccounts: some('x', 'y') }, { noNullPrototype: true }),
    action: fc.constantFrom<PolicyAction>('ALLOW', 'ALLOW', 'ALLOW', 'DENY', 'AUDIT'),
    dryRun: fc.constantFrom(false, false, false, true),
    rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: ['action', 'rules'], noNullPrototype: true },
)

const policiesOf = (size: {
  readonly minLength: number
  readonly maxLength: number
}): fc.Arbitrary<AuthorizationPolicy[]> =>
  fc.array(fc.record({ namespace: fc.constantFrom(...namespaces), spec }), size).map((list) =>
    list.map(({ namespace, spec }, index) => ({
      apiVersion: 'handfast.dev/v1alpha1',
      kind: 'AuthorizationPolicy',
      metadata: { name: `p${index}`, namespace },
      spec,
    })),
  )

const lines = fc.array(fc.constantFrom('gold', 'silver', 'guilder'), { minLength: 1, maxLength: 2 })

const http: fc.Arbitrary<HttpRequestHead> = fc
  .record(
    {
      method: fc.constantFrom('GET', 'PUT', 'POST'),
      path: fc.constantFrom(...paths),
      host: fc.constantFrom(...hosts),
      headers: fc.record(
        {
          'x-tier': lines,
          'x-other': lines,
          'content-type': fc.constantFrom(['application/grpc'], ['application/grpc+proto'], ['text/plain']),
        },
        { requiredKeys: [], noNullPrototype: true },
      ),
    },
    { requiredKeys: ['method', 'path', 'host'], noNullPrototype: true },
  )
  // What calls gRPC is a POST, and would hardly ever meet its path.
  .map(({ method, ...head }) =>
    Object.assign({ method: head.path.startsWith('/x.') ? 'POST' : method }, head),
  )

const token: fc.Arbitrary<RequestToken> = fc.record({
  principal: fc.constantFrom('iss/web', 'iss/job', 'other/web'),
  claims: fc.record(
    {
      groups: fc.constantFrom<unknown>('gold', ['gold', 'silver'], [], 3, { gold: true }),
      scope: fc.constantFrom('gold silver', 'gold', ''),
      deep: fc.constantFrom<unknown>({ level: 3 }, { level: 'gold' }, {}),
    },
    { requiredKeys: [], noNullPrototype: true },
  ),
})

const request: fc.Arbitrary<AuthorizationRequest> = fc
  .record(
    {
      principal: fc.constantFrom(...principals),
      workload: fc.record(
        { namespace: fc.constantFrom(...namespaces), serviceAccount: fc.constantFrom('x', 'y', 'z') },
        { noNullPrototype: true },
      ),
      port: fc.constantFrom(1, 2, 3, 4),
      sourceIp: fc.constantFrom(
        '10.1.2.3',
        '::ffff:10.1.2.3',
        '10.9.0.1',
        '192.0.2.1',
        'fd00::1',
        '2001:db8::1',
      ),
      tls: fc.record(
        {
          sni: fc.constantFrom('gold', 'silver'),
          alpn: fc.constantFrom('h2', 'gold'),
          group: fc.constantFrom('x25519', 'secp256r1'),
        },
        { requiredKeys: [], noNullPrototype: true },
      ),
      http,
      token,
    },
    { requiredKeys: ['principal', 'workload', 'port'], noNullPrototype: true },
  )
  // A JWT comes in a request.
  .map(({ token: good, ...rest }) => Object.assign(rest, rest.http && good ? { token: good } : {}))

/** So many policies and so many requests at least, in sets of both. */
const WANTED = 100_000
const RUNS = 26_000

test('PolicySet decides like the naive evaluator, before and after the wire', (t) => {
  const seen = compare(t, { runs: RUNS, policies: { minLength: 1, maxLength: 7 }, requests: 4 })
  assert.ok(Math.min(seen.get('policies')!, seen.get('requests')!) >= WANTED)
  // Every outcome must be common, or agreement would mean little.
  for (const cause of [
    'allowed',
    'allowed-by-default',
    'denied-by-rule',
    'no-allow-policy',
    'no-matching-rule',
  ])
    assert.ok(seen.get(cause)! > 4_000, cause)
})

test('PolicySet decides like the naive evaluator where so many rules are for a peer that paths tell them apart', (t) => {
  compare(t, { runs: 60, policies: { minLength: 60, maxLength: 90 }, requests: 20 })
})

interface Size {
  readonly runs: number
  /** In each run. */
  readonly policies: { readonly minLength: number; readonly maxLength: number }
  readonly requests: number
}

/** How often which outcome was seen. */
function compare(t: TestContext, { runs, policies: size, requests: length }: Size): Map<string, number> {
  const seed = Date.now() & 0x7fff_ffff
  t.diagnostic(`seed ${seed}`)
  const seen = new Map<string, number>()
  const count = (name: string, by = 1): void => void seen.set(name, (seen.get(name) ?? 0) + by)
  let run = 0
  fc.assert(
    fc.property(
      policiesOf(size),
      fc.array(request, { minLength: length, maxLength: length }),
      fc.constantFrom('ALLOW' as const, 'DENY' as const),
      (policies, requests, defaultAction) => {
        const resources = policyResources([...policies, authorizationDefault(defaultAction)])
        const set = compilePolicies(resources, compileOptions())
        const sent = run++ % 4 === 0 ? afterTheWire(resources) : undefined
        if (sent !== undefined) assert.equal(sent.revision, set.revision)
        count('policies', policies.length)
        const context = { trustDomain: 'td', defaultAction, expressions }
        const inForce = policies.filter(({ spec }) => spec.dryRun !== true)
        for (const request of requests) {
          const decision = set.decide(request)
          const expected = decideNaively(inForce, context, request)
          count('requests')
          count(decision.cause)
          assert.equal(decision.kind === 'permit', expected.allowed)
          assert.equal(decision.cause, expected.cause)
          const audited = new Set((decision.audited ?? []).map(({ policy }) => policy))
          // Rules are noted up to a bound.
          assert.deepEqual([...audited], expected.audited.slice(0, audited.size))
          if (decision.audited === undefined) assert.deepEqual(expected.audited, [])
          if (decision.dryRun !== undefined) {
            count(`dry run: ${decision.dryRun.cause}`)
            assert.equal(decision.dryRun.cause, decideNaively(policies, context, request).cause)
          }
          if (sent !== undefined) assert.deepEqual(fieldsOf(sent.decide(request)), fieldsOf(decision))
          explains(decision)
        }
      },
    ),
    { numRuns: runs, seed },
  )
  t.diagnostic(JSON.stringify(Object.fromEntries(seen)))
  return seen
}

function afterTheWire(resources: PolicyResources): PolicySet {
  return compilePolicies(deserializePolicies(serializePolicies(resources)), compileOptions())
}

function authorizationDefault(action: 'ALLOW' | 'DENY'): AuthorizationDefault {
  return {
    apiVersion: 'handfast.dev/v1alpha1',
    kind: 'AuthorizationDefault',
    metadata: { name: 'mesh', namespace: 'handfast-system' },
    spec: { action },
  }
}

/** What a decision tells of itself must agree with it. */
function explains(decision: Permit | Denial): void {
  const reports = decision.rules()
  const matching = reports.filter(({ matches, dryRun }) => matches && !dryRun)
  if (decision.policy !== undefined) {
    const action = decision.kind === 'permit' ? 'ALLOW' : 'DENY'
    const deciding = matching.find((report) => report.action === action)
    assert.deepEqual([deciding?.policy, deciding?.rule], [decision.policy, decision.rule])
  }
  if (decision.kind === 'permit' || decision.cause === 'no-matching-rule')
    assert.ok(!matching.some(({ action }) => action === 'DENY'))
  if (decision.cause !== 'no-matching-rule') return
  assert.ok(!matching.some(({ action }) => action === 'ALLOW'))
  for (const miss of (decision as Denial).considered()) {
    const fields = reports.filter(({ policy }) => policy === miss.policy).flatMap(({ fields }) => fields)
    // Reports are bounded.
    if (fields.length > 0)
      assert.equal(fields.find(({ field }) => field === miss.field)?.holds, false, miss.field)
  }
}

test('the generated principals and patterns are ones that configuration accepts', () => {
  for (const id of principals) assert.ok(isWorkloadId(id), id)
  for (const pattern of principalPatterns) assert.ok(isPrincipalPattern(pattern), pattern)
  for (const expression of Object.keys(expressions))
    assert.equal(compileExpression(expression).kind, 'expression', expression)
})
