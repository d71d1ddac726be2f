import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { reviewPolicies } from '../../src/authz/parse.ts'
import { ruleCovers } from '../../src/authz/review/coverage.ts'
import { warningsOf } from '../../src/authz/review/warnings.ts'
import { ConfigError, formatProblem } from '../../src/config/errors.ts'
import type { AuthorizationPolicy, PolicyRule } from '../../src/config/policy-config.ts'
import { request, rule } from './arbitraries.ts'
import { policySet } from './support.ts'

const resource = (kind: string, name: string, spec: string): string => {
  const [namespace, own] = name.split('/')
  return `apiVersion: handfast.dev/v1alpha1
kind: ${kind}
metadata: { name: ${own}, namespace: ${namespace} }
spec: ${spec}
`
}

const policy = (name: string, spec: string): string => resource('AuthorizationPolicy', name, spec)

const warnings = (...texts: readonly string[]): string[] =>
  reviewPolicies([{ name: 'p.yaml', text: texts.join('---\n') }]).warnings.map(formatProblem)

/** The warnings about the rules of one ALLOW policy, without their place. */
const ofRules = (...rules: readonly string[]): string[] =>
  warnings(policy('shop/a', `{ action: ALLOW, rules: [${rules.join(', ')}] }`)).map((line) =>
    line.replace(/^\S+ spec\./, ''),
  )

test('reviewPolicies finds nothing in policy that says what it means', () => {
  assert.deepEqual(
    warnings(
      policy(
        'shop/a',
        '{ action: ALLOW, rules: [{ from: [{ namespaces: [shop] }], to: [{ paths: ["/a/*"] }] }, { to: [{ paths: [/health] }] }] }',
      ),
      policy('shop/d', '{ action: DENY, rules: [{ to: [{ paths: ["/a/secret"] }] }] }'),
      resource('PeerAuthentication', 'shop/m', '{ mtls: { mode: STRICT } }'),
      resource('AuthorizationDefault', 'handfast-system/m', '{ action: DENY }'),
    ),
    [],
  )
})

test('reviewPolicies warns of rules that allow everyone everything', () => {
  assert.deepEqual(ofRules('{}'), [
    'rules[0]: expected a rule that says who may call, or what, got one that allows every peer everything',
  ])
  assert.deepEqual(ofRules('{ from: [{ namespaces: [a] }, { principals: ["*"] }] }'), [
    'rules[0].from[1].principals: expected a rule that says who may call, or what, got every principal, of every trust domain that is trusted, and no other condition',
  ])
  for (const fine of [
    '{ from: [{ principals: ["*"] }], to: [{ paths: [/health] }] }',
    '{ from: [{ principals: ["*"], namespaces: [a] }] }',
    '{ from: [{ principals: ["*"] }], when: [{ key: connection.sni, values: [a] }] }',
  ])
    assert.deepEqual(ofRules(fine), [])
})

test('reviewPolicies warns of rules that others leave nothing to', () => {
  const shadowed = 'rules[1]: expected a rule that can decide, got one that rules[0] leaves nothing to'
  for (const rules of [
    [
      '{ to: [{ paths: ["/a*"] }] }',
      '{ from: [{ namespaces: [x] }], to: [{ paths: [/a/b], methods: [GET] }] }',
    ],
    ['{ to: [{ ports: [80, 81] }] }', '{ to: [{ ports: [81] }] }'],
    ['{ from: [{ ipBlocks: [10.0.0.0/8] }] }', '{ from: [{ ipBlocks: [10.1.0.0/16] }] }'],
    ['{ to: [{ notMethods: [GET] }] }', '{ to: [{ notMethods: [GET, PUT] }] }'],
    ['{ to: [{ paths: ["/a/{x}"] }] }', '{ to: [{ paths: [/a/b] }] }'],
  ] as const)
    assert.deepEqual(ofRules(...rules), [shadowed])
  for (const rules of [
    ['{ to: [{ paths: [/a] }] }', '{ to: [{ paths: ["/a*"] }] }'],
    ['{ to: [{ ports: [81] }] }', '{ to: [{ notPorts: [81] }] }'],
    ['{ to: [{ ports: [80] }], when: [{ key: connection.sni, values: [a] }] }', '{ to: [{ ports: [80] }] }'],
  ] as const)
    assert.deepEqual(ofRules(...rules), [])
})

test('reviewPolicies warns of ALLOW rules whose requests are denied', () => {
  const allow = policy('shop/a', '{ action: ALLOW, rules: [{ to: [{ paths: [/debug/x] }] }] }')
  const deny = (spec = ''): string => `{ action: DENY, ${spec} rules: [{ to: [{ paths: ["/debug*"] }] }] }`
  assert.deepEqual(warnings(allow, policy('handfast-system/d', deny())), [
    'p.yaml:4:32 spec.rules[0]: expected a rule that can decide, got one whose requests handfast-system/d denies',
  ])
  assert.equal(warnings(allow, policy('shop/d', deny())).length, 1)
  assert.deepEqual(warnings(allow, policy('batch/d', deny())), [])
  assert.deepEqual(warnings(allow, policy('shop/d', deny('dryRun: true,'))), [])
  assert.deepEqual(warnings(allow, policy('shop/d', deny('selector: { serviceAccounts: [x] },'))), [])
})

test('reviewPolicies warns of rules that no request can meet', () => {
  const never = (field: string, beside: string): string[] => [
    `rules[0].${field}: expected fields that a request can meet together, got none, beside ${beside}`,
  ]
  const rules: Readonly<Record<string, readonly string[]>> = {
    '{ to: [{ paths: [/a/b], notPaths: ["/a*"] }] }': never('to[0].paths', 'notPaths'),
    '{ from: [{ ipBlocks: [10.1.0.0/16], notIpBlocks: [10.0.0.0/8] }] }': never(
      'from[0].ipBlocks',
      'notIpBlocks',
    ),
    '{ from: [{ principals: ["spiffe://td/ns/a/sa/b"], namespaces: [c] }] }': never(
      'from[0].principals',
      'namespaces',
    ),
    '{ from: [{ principals: ["spiffe://td/vm/1"], serviceAccounts: [b] }] }': never(
      'from[0].principals',
      'serviceAccounts',
    ),
    '{ from: [{ principals: ["spiffe://td/x"], trustDomains: [other] }] }': never(
      'from[0].principals',
      'trustDomains',
    ),
    '{ to: [{ methods: [GET], grpcServices: [a.B] }] }': never('to[0].methods', 'gRPC, which is POST'),
    '{ to: [{ notMethods: [POST], grpcMethods: [Get] }] }': never('to[0].notMethods', 'gRPC, which is POST'),
    '{ when: [{ key: connection.sni, values: [a.b], notValues: ["*.b"] }] }': never(
      'when[0].values',
      'notValues',
    ),
  }
  for (const [text, expected] of Object.entries(rules)) assert.deepEqual(ofRules(text), expected, text)
})

test('reviewPolicies warns of modes that are not to be had, and of a mesh that is open by default', () => {
  assert.deepEqual(
    warnings(
      resource(
        'PeerAuthentication',
        'shop/m',
        '{ selector: { serviceAccounts: [x] }, mtls: { mode: DISABLE }, portLevelMtls: { "80": { mode: PERMISSIVE }, "81": { mode: STRICT } } }',
      ),
      resource('AuthorizationDefault', 'handfast-system/m', '{ action: ALLOW }'),
    ).map((line) => line.replace(/^\S+ /, '')),
    [
      'spec.mtls.mode: expected STRICT, got DISABLE, which proxies cannot put in force: they refuse it',
      'spec.portLevelMtls.80.mode: expected STRICT, got PERMISSIVE, which proxies cannot put in force: they refuse it',
      'spec.action: expected DENY, got ALLOW: every workload without ALLOW policy accepts everything',
    ],
  )
})

test('reviewPolicies warns of ALLOW rules that no listener of the proxy can meet', () => {
  const review = (rules: string): string[] =>
    reviewPolicies(
      [{ name: 'p.yaml', text: policy('shop/a', `{ action: ALLOW, rules: [${rules}] }`) }],
      [
        { port: 80, transport: 'http' },
        { port: 5432, transport: 'tcp' },
      ],
    ).warnings.map(({ field, got }) => `${field}: ${got}`)
  const unreachable = 'spec.rules[0]: one that asks for another port, or for HTTP where bytes are carried'
  assert.deepEqual(review('{ to: [{ ports: [5432], methods: [GET] }] }'), [unreachable])
  assert.deepEqual(review('{ to: [{ ports: [81] }] }'), [unreachable])
  assert.deepEqual(review('{ to: [{ ports: [5432] }] }, { to: [{ methods: [GET] }] }'), [])
})

test('parsePolicies refuses what an entry both wants and excludes, and expressions that cannot be', () => {
  const refusals: Readonly<Record<string, string>> = {
    '{ from: [{ namespaces: [a, b], notNamespaces: [b] }] }':
      'rules[0].from[0].notNamespaces[0]: expected a value that namespaces does not want, got "b"',
    '{ to: [{ ports: [80], notPorts: [80] }] }':
      'rules[0].to[0].notPorts[0]: expected a value that ports does not want, got 80',
    '{ to: [{ headers: [{ name: x-a, values: [b], notValues: [b] }] }] }':
      'rules[0].to[0].headers[0].notValues[0]: expected a value that values does not want, got "b"',
    '{ when: [{ key: connection.alpn, values: [h2], notValues: [h2] }] }':
      'rules[0].when[0].notValues[0]: expected a value that values does not want, got "h2"',
    '{ when: [{ key: connection.group, values: [curve25519] }] }':
      'rules[0].when[0].values[0]: expected one of X25519MLKEM768, x25519, secp256r1, secp384r1, secp521r1, SecP256r1MLKEM768, SecP384r1MLKEM1024, MLKEM768, MLKEM1024, got "curve25519"',
    '{ from: [{ ipBlocks: [10.0.0.1/8] }] }':
      'rules[0].from[0].ipBlocks[0]: expected an IP address or a block of them, with no bits set behind its prefix, such as 10.1.0.0/16 or fd00::/8, got "10.0.0.1/8"',
    '{ when: [{ expression: destination.port }] }':
      'rules[0].when[0].expression: expected an expression that is true or false, got one of type int',
    '{ when: [{ expression: \'destination.port == "80"\' }] }':
      'rules[0].when[0].expression: expected an expression whose types fit, got no such overload: int == string',
    '{ when: [{ expression: source.port == 1 }] }':
      'rules[0].when[0].expression: expected an expression whose types fit, got No such key: port',
    '{ when: [{ expression: "1 +" }] }':
      'rules[0].when[0].expression: expected an expression in CEL, got Unexpected token: EOF',
    '{ when: [{ expression: \'source.principal.matches("(a+)+$")\' }] }':
      'rules[0].when[0].expression: expected one of the functions size, startsWith, endsWith, contains, lowerAscii, has, int, string, all, exists, exists_one, got matches()',
    '{ when: [{ expression: \'request.headers.exists(h, h == "x")\' }] }':
      'rules[0].when[0].expression: expected a header by its name in lower case such as request.headers["x-tier"], got all headers',
    '{ when: [{ expression: \'request.headers["X-Tier"] == "x"\' }] }':
      'rules[0].when[0].expression: expected a header by its name in lower case such as request.headers["x-tier"], got X-Tier',
    "{ when: [{ expression: 'request.auth.claims.a.all(x, request.auth.claims.b.all(y, x == y))' }] }":
      'rules[0].when[0].expression: expected one iteration at a time, got all() inside another',
    '{ when: [{ key: connection.sni }] }':
      'rules[0].when[0]: expected a key with values or notValues, or an expression alone, got a mapping',
    '{ when: [{ key: connection.sni, values: [a], expression: "true" }] }':
      'rules[0].when[0]: expected a key with values or notValues, or an expression alone, got a mapping',
    '{ to: [{ hosts: [Shop.example] }] }':
      'rules[0].to[0].hosts[0]: expected a host in lower case without port such as shop.example, or with all its subdomains such as *.shop.example, got "Shop.example"',
    '{ to: [{ hosts: ["[2001:db8:0::1]"] }] }':
      'rules[0].to[0].hosts[0]: expected the host in its normal form, like [2001:db8::1], got "[2001:db8:0::1]"',
  }
  for (const [text, refusal] of Object.entries(refusals))
    assert.throws(
      () => ofRules(text),
      (thrown: unknown) => {
        assert.ok(thrown instanceof ConfigError)
        assert.equal(thrown.message.replace(/^\S+ spec\./, '').split('\n')[0], refusal)
        return true
      },
    )
})

const allow = (...rules: readonly PolicyRule[]): AuthorizationPolicy => ({
  apiVersion: 'handfast.dev/v1alpha1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'a', namespace: 'a' },
  spec: { action: 'ALLOW', rules },
})

const permits = (rule: PolicyRule, asked: Parameters<ReturnType<typeof policySet>['decide']>[0]): boolean =>
  policySet(allow(rule)).decide({ ...asked, workload: { namespace: 'a', serviceAccount: 'x' } }).kind ===
  'permit'

test('ruleCovers says so only of a rule that matches whatever the other matches', () => {
  let covered = 0
  // The other as it comes, or a narrower one.
  const pairs = fc.tuple(rule, rule, fc.boolean()).map(([a, b, isNarrower]): [PolicyRule, PolicyRule] => {
    if (!isNarrower) return [a, b]
    const { from = b.from, to = b.to } = a
    return [a, { ...(from && { from }), ...(to && { to }), when: [...(a.when ?? []), ...(b.when ?? [])] }]
  })
  fc.assert(
    fc.property(pairs, fc.array(request, { minLength: 8, maxLength: 8 }), ([a, b], requests) => {
      if (!ruleCovers(a, b)) return
      covered++
      for (const asked of requests) if (permits(b, asked)) assert.ok(permits(a, asked), JSON.stringify(asked))
    }),
    { numRuns: 3_000 },
  )
  assert.ok(covered > 1_000, `${covered}`)
})

test('warningsOf says that no request can meet a rule only where none does', () => {
  let dead = 0
  fc.assert(
    fc.property(rule, fc.array(request, { minLength: 8, maxLength: 8 }), (one, requests) => {
      const found = warningsOf(allow(one), []).filter(({ got }) => got.startsWith('none, beside'))
      const alternatives = Math.max(one.from?.length ?? 1, one.to?.length ?? 1)
      if (found.length === 0 || alternatives > 1) return
      dead++
      for (const asked of requests) assert.ok(!permits(one, asked), JSON.stringify(asked))
    }),
    { numRuns: 6_000 },
  )
  assert.ok(dead > 50, `${dead}`)
})
