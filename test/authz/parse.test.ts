import assert from 'node:assert/strict'
import test from 'node:test'
import { type PolicyFile, parsePolicies } from '../../src/authz/parse.ts'
import { policyName } from '../../src/authz/policy-name.ts'
import { ConfigError } from '../../src/config/errors.ts'

const file = (name: string, ...lines: readonly string[]): PolicyFile => ({ name, text: lines.join('\n') })

const head = (name: string): string[] => [
  'apiVersion: handfast.dev/v1alpha1',
  'kind: AuthorizationPolicy',
  `metadata: { name: ${name}, namespace: shop }`,
]

const ALLOW_ALL = 'spec: { action: ALLOW, rules: [{}] }'

function problemsOf(...files: readonly PolicyFile[]): string[] {
  try {
    parsePolicies(files)
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigError)
    return thrown.message.split('\n')
  }
  return []
}

test('parsePolicies reads every document of every file', () => {
  const policies = parsePolicies([
    file('one.yaml', ...head('a'), ALLOW_ALL, '---', ...head('b'), ALLOW_ALL, '---', ''),
    file('empty.yaml', '# nothing yet'),
    file('two.yaml', ...head('c'), ALLOW_ALL),
  ])
  assert.deepEqual(policies.authorizationPolicies.map(policyName), ['shop/a', 'shop/b', 'shop/c'])
})

test('parsePolicies refuses all files for one bad one, and reports every problem', () => {
  assert.deepEqual(
    problemsOf(
      file('good.yaml', ...head('a'), ALLOW_ALL),
      file(
        'bad.yaml',
        ...head('b'),
        'spec:',
        '  rules:',
        '    - from: [{ principal: x }]',
        '---',
        ...head('A'),
        ALLOW_ALL,
      ),
      file('worse.yaml', 'a: 1', 'a: 2'),
    ),
    [
      'bad.yaml:4:1 spec.action: expected one of "ALLOW", "DENY", "AUDIT", got nothing',
      'bad.yaml:6:16 spec.rules[0].from[0].principal: expected one of the keys principals, notPrincipals, ' +
        'namespaces, notNamespaces, serviceAccounts, notServiceAccounts, trustDomains, notTrustDomains, ipBlocks, notIpBlocks, requestPrincipals, notRequestPrincipals, got an unknown key (did you mean "principals"?)',
      'bad.yaml:10:19 metadata.name: expected a name of up to 63 lower-case letters, digits and inner hyphens, got "A"',
      'worse.yaml:2:1 a: expected each key once, got this one again',
    ],
  )
})

test('parsePolicies refuses a name that is taken, in the same file or another', () => {
  assert.deepEqual(
    problemsOf(file('one.yaml', ...head('a'), ALLOW_ALL), file('two.yaml', ...head('a'), ALLOW_ALL)),
    ['two.yaml:3:19 metadata.name: expected a name of its own, got shop/a, which is taken'],
  )
})

/** The problem of one policy whose spec has this one rule. */
const ruleProblem = (rule: string): string | undefined =>
  problemsOf(file('p.yaml', ...head('a'), 'spec:', '  action: ALLOW', '  rules:', `    - ${rule}`))[0]

test('parsePolicies refuses rules that say nothing or could never match', () => {
  const problems = {
    'from: []': 'p.yaml:7:13 spec.rules[0].from: expected at least one of sources, got an empty list',
    'from: [{}]':
      'p.yaml:7:14 spec.rules[0].from[0]: expected at least one field such as principals, got a mapping',
    'to: [{ ports: [] }]':
      'p.yaml:7:21 spec.rules[0].to[0].ports: expected at least one of ports, got an empty list',
    'to: [{ ports: [0] }]':
      'p.yaml:7:22 spec.rules[0].to[0].ports[0]: expected a port from 1 to 65535, got the number 0',
    'to: [{ ports: ["80"] }]':
      'p.yaml:7:22 spec.rules[0].to[0].ports[0]: expected a port from 1 to 65535, got "80"',
    'to: [{ methods: [get] }]':
      'p.yaml:7:24 spec.rules[0].to[0].methods[0]: expected an HTTP method in upper case such as GET, got "get"',
    'to: [{ paths: [a] }]':
      'p.yaml:7:22 spec.rules[0].to[0].paths[0]: expected a path such as /orders, with * at its end such as /orders/*, or with segments that stand for any one such as /orders/{id}, got "a"',
    'to: [{ paths: ["/a*b"] }]':
      'p.yaml:7:22 spec.rules[0].to[0].paths[0]: expected a path such as /orders, with * at its end such as /orders/*, or with segments that stand for any one such as /orders/{id}, got "/a*b"',
    'to: [{ paths: [/a, /%61] }]':
      'p.yaml:7:26 spec.rules[0].to[0].paths[1]: expected the path in its normal form, like /a, got "/%61"',
    'to: [{ notPaths: [/a/../b] }]':
      'p.yaml:7:25 spec.rules[0].to[0].notPaths[0]: expected a path that can be judged, not one with dot-segment, got "/a/../b"',
    'to: [{ paths: ["/a?b"] }]':
      'p.yaml:7:22 spec.rules[0].to[0].paths[0]: expected a path without a query, got "/a?b"',
    'from: [{ principals: ["spiffe://td/ns/*x/sa/y"] }]':
      'p.yaml:7:29 spec.rules[0].from[0].principals[0]: expected a SPIFFE ID in which a path segment may be * or end with *, such as spiffe://example.org/ns/shop/sa/*, or * alone, got "spiffe://td/ns/*x/sa/y"',
  }
  for (const [rule, problem] of Object.entries(problems)) assert.equal(ruleProblem(rule), problem)
  for (const rule of ['{}', 'to: [{ paths: ["/.*", "/.well-known/*", "*", "/*"] }]'])
    assert.equal(ruleProblem(rule), undefined)
})

test('parsePolicies refuses a DENY policy that denies nothing', () => {
  assert.deepEqual(problemsOf(file('p.yaml', ...head('a'), 'spec: { action: DENY }')), [
    'p.yaml:4:1 spec.rules: expected at least one rule, because a DENY policy without rules denies nothing, got nothing',
  ])
})
