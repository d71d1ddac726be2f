import assert from 'node:assert/strict'
import test from 'node:test'
import type { AuthorizationRequest } from '../../src/authz/request.ts'
import { fieldsOf, policy, policySet } from './support.ts'

const WEB = 'spiffe://td/ns/shop/sa/web'
const WEB_CANARY = 'spiffe://td/ns/shop/sa/web-canary'
const BATCH = 'spiffe://td/ns/batch/sa/job'
const FOREIGN = 'spiffe://other/ns/shop/sa/web'

/** The outcome of one question: permit, or the cause of the denial. */
function ask(specs: readonly string[], question: Question): string {
  const set = policySet(...specs.map((spec, index) => policy(`p${index}`, spec)))
  const { from = WEB, port = 80, to } = question
  const [method, path] = to?.split(' ') ?? []
  const request: AuthorizationRequest = {
    principal: from,
    workload: { namespace: 'shop', serviceAccount: 'catalog' },
    port,
    ...(method !== undefined && path !== undefined && { http: { method, path } }),
  }
  const decision = set.decide(request)
  return decision.kind === 'permit' ? 'permit' : decision.cause
}

interface Question {
  readonly from?: string
  readonly port?: number
  /** `METHOD /path`; absent: a connection that carries bytes. */
  readonly to?: string
}

type Case = readonly [specs: readonly string[], question: Question, outcome: string]

const ALL = '{ action: ALLOW, rules: [{}] }'
const allow = (rule: string): string => `{ action: ALLOW, rules: [${rule}] }`
const deny = (rule: string): string => `{ action: DENY, rules: [${rule}] }`
const from = (source: string): string => `{ from: [${source}] }`
const to = (operation: string): string => `{ to: [${operation}] }`

const CASES: Readonly<Record<string, readonly Case[]>> = {
  'denies by default': [
    [[], {}, 'no-allow-policy'],
    [[deny('{}')], {}, 'denied-by-rule'],
    [[deny(from(`{ principals: ["${BATCH}"] }`))], {}, 'no-allow-policy'],
    [['{ action: ALLOW }'], {}, 'no-matching-rule'],
    [['{ action: ALLOW, rules: [] }'], { to: 'GET /' }, 'no-matching-rule'],
  ],
  'allows what a rule names, and an empty rule names everything': [
    [[ALL], {}, 'permit'],
    [[ALL], { to: 'GET /' }, 'permit'],
    [[ALL], { from: FOREIGN }, 'permit'],
    [['{ action: ALLOW }', ALL], {}, 'permit'],
  ],
  'refuses a principal that is no SPIFFE ID of a workload': [
    [[ALL], { from: '' }, 'no-identity'],
    [[ALL], { from: 'web' }, 'no-identity'],
    [[ALL], { from: 'spiffe://td' }, 'no-identity'],
    [[ALL], { from: 'spiffe://td/ns/../sa/web' }, 'no-identity'],
  ],
  'puts DENY before ALLOW': [
    [[ALL, deny('{}')], {}, 'denied-by-rule'],
    [[deny(from(`{ principals: ["${WEB}"] }`)), ALL], {}, 'denied-by-rule'],
    [[deny(from(`{ principals: ["${WEB}"] }`)), ALL], { from: BATCH }, 'permit'],
  ],
  'reads principals': [
    [[allow(from(`{ principals: ["${WEB}"] }`))], {}, 'permit'],
    [[allow(from(`{ principals: ["${WEB}"] }`))], { from: WEB_CANARY }, 'no-matching-rule'],
    [[allow(from(`{ principals: ["${WEB}"] }`))], { from: FOREIGN }, 'no-matching-rule'],
    [[allow(from(`{ principals: ["${BATCH}", "${WEB}"] }`))], {}, 'permit'],
    [[allow(from('{ principals: ["*"] }'))], { from: FOREIGN }, 'permit'],
  ],
  'reads * in principals by segments': [
    [[allow(from('{ principals: ["spiffe://td/*"] }'))], {}, 'permit'],
    [[allow(from('{ principals: ["spiffe://td/*"] }'))], { from: FOREIGN }, 'no-matching-rule'],
    [[allow(from('{ principals: ["spiffe://td/*"] }'))], { from: 'spiffe://td2/x' }, 'no-matching-rule'],
    [[allow(from('{ principals: ["spiffe://td/ns/shop/*"] }'))], {}, 'permit'],
    [[allow(from('{ principals: ["spiffe://td/ns/shop/*"] }'))], { from: BATCH }, 'no-matching-rule'],
    [
      [allow(from('{ principals: ["spiffe://td/ns/shop/*"] }'))],
      { from: 'spiffe://td/ns/shop' },
      'no-matching-rule',
    ],
    [[allow(from('{ principals: ["spiffe://td/ns/shop/sa/web*"] }'))], { from: WEB_CANARY }, 'permit'],
    [[allow(from('{ principals: ["spiffe://td/ns/shop/sa/web*"] }'))], {}, 'permit'],
    [
      [allow(from('{ principals: ["spiffe://td/ns/shop/sa/web*"] }'))],
      { from: `${WEB}/extra` },
      'no-matching-rule',
    ],
    [[allow(from('{ principals: ["spiffe://td/ns/*/sa/web"] }'))], {}, 'permit'],
    [
      [allow(from('{ principals: ["spiffe://td/ns/*/sa/web"] }'))],
      { from: 'spiffe://td/ns/a/b/sa/web' },
      'no-matching-rule',
    ],
    [[allow(from('{ principals: ["spiffe://td/ns/sh.p/sa/web*"] }'))], {}, 'no-matching-rule'],
  ],
  'reads notPrincipals': [
    [[allow(from(`{ notPrincipals: ["${WEB}"] }`))], {}, 'no-matching-rule'],
    [[allow(from(`{ notPrincipals: ["${WEB}"] }`))], { from: BATCH }, 'permit'],
    [[ALL, deny(from('{ notPrincipals: ["spiffe://td/ns/shop/*"] }'))], { from: BATCH }, 'denied-by-rule'],
    [[ALL, deny(from('{ notPrincipals: ["spiffe://td/ns/shop/*"] }'))], {}, 'permit'],
    [
      [allow(from(`{ principals: ["spiffe://td/ns/shop/sa/*"], notPrincipals: ["${WEB}"] }`))],
      {},
      'no-matching-rule',
    ],
    [
      [allow(from(`{ principals: ["spiffe://td/ns/shop/sa/*"], notPrincipals: ["${WEB}"] }`))],
      { from: WEB_CANARY },
      'permit',
    ],
  ],
  'reads namespaces of its own trust domain only': [
    [[allow(from('{ namespaces: [shop] }'))], {}, 'permit'],
    [[allow(from('{ namespaces: [shop] }'))], { from: BATCH }, 'no-matching-rule'],
    [[allow(from('{ namespaces: [shop] }'))], { from: FOREIGN }, 'no-matching-rule'],
    [[allow(from('{ namespaces: ["sh*"] }'))], {}, 'permit'],
    [[allow(from('{ namespaces: ["*"] }'))], { from: BATCH }, 'permit'],
    [[allow(from('{ namespaces: ["*"] }'))], { from: 'spiffe://td/vm/1' }, 'no-matching-rule'],
    [[allow(from('{ namespaces: [shop] }'))], { from: 'spiffe://td/x/ns/shop/sa/web' }, 'no-matching-rule'],
    [[allow(from('{ notNamespaces: [shop] }'))], {}, 'no-matching-rule'],
    [[ALL, deny(from('{ notNamespaces: [shop] }'))], { from: FOREIGN }, 'denied-by-rule'],
    [[ALL, deny(from('{ notNamespaces: [shop] }'))], {}, 'permit'],
  ],
  'reads ports': [
    [[allow(to('{ ports: [80] }'))], {}, 'permit'],
    [[allow(to('{ ports: [80] }'))], { port: 81 }, 'no-matching-rule'],
    [[allow(to('{ ports: [81, 80] }'))], { to: 'GET /' }, 'permit'],
    [[allow(to('{ notPorts: [80] }'))], {}, 'no-matching-rule'],
    [[allow(to('{ notPorts: [80] }'))], { port: 81 }, 'permit'],
    [[ALL, deny(to('{ ports: [9000] }'))], { port: 9000 }, 'denied-by-rule'],
  ],
  'reads methods': [
    [[allow(to('{ methods: [GET, HEAD] }'))], { to: 'HEAD /' }, 'permit'],
    [[allow(to('{ methods: [GET, HEAD] }'))], { to: 'POST /' }, 'no-matching-rule'],
    [[allow(to('{ notMethods: [DELETE] }'))], { to: 'DELETE /' }, 'no-matching-rule'],
    [[allow(to('{ notMethods: [DELETE] }'))], { to: 'GET /' }, 'permit'],
    [[ALL, deny(to('{ methods: [DELETE] }'))], { to: 'delete /' }, 'ambiguous-method'],
    [[ALL], { to: 'delete /' }, 'permit'],
  ],
  'reads paths': [
    [[allow(to('{ paths: [/orders] }'))], { to: 'GET /orders' }, 'permit'],
    [[allow(to('{ paths: [/orders] }'))], { to: 'GET /orders?id=1' }, 'permit'],
    [[allow(to('{ paths: [/orders] }'))], { to: 'GET /%6Frders' }, 'permit'],
    [[allow(to('{ paths: [/orders] }'))], { to: 'GET /orders/' }, 'no-matching-rule'],
    [[allow(to('{ paths: [/orders] }'))], { to: 'GET /Orders' }, 'no-matching-rule'],
    [[allow(to('{ paths: ["/orders/*"] }'))], { to: 'GET /orders/1/lines' }, 'permit'],
    [[allow(to('{ paths: ["/orders/*"] }'))], { to: 'GET /orders' }, 'no-matching-rule'],
    [[allow(to('{ paths: ["/orders*"] }'))], { to: 'GET /orders' }, 'permit'],
    [[allow(to('{ paths: ["*"] }'))], { to: 'OPTIONS *' }, 'permit'],
    [[allow(to('{ notPaths: ["/admin*"] }'))], { to: 'GET /admin/x' }, 'no-matching-rule'],
    [[allow(to('{ notPaths: ["/admin*"] }'))], { to: 'GET /orders' }, 'permit'],
    [[ALL, deny(to('{ paths: ["/admin*"] }'))], { to: 'GET /x/../admin' }, 'ambiguous-path'],
    [[ALL, deny(to('{ paths: ["/admin*"] }'))], { to: 'GET http://h/admin' }, 'denied-by-rule'],
    [[ALL, deny(to('{ methods: [PUT] }'))], { to: 'GET /x/../admin' }, 'permit'],
  ],
  'fails closed where HTTP fields meet a connection that carries bytes': [
    [[allow(to('{ methods: [GET] }'))], {}, 'no-matching-rule'],
    [[allow(to('{ notMethods: [DELETE] }'))], {}, 'no-matching-rule'],
    [[allow(to('{ notPaths: [/admin] }'))], {}, 'no-matching-rule'],
    [[allow(to('{ ports: [80], paths: [/a] }'))], {}, 'no-matching-rule'],
    [[allow(to('{ methods: [GET] }, { ports: [80] }'))], {}, 'permit'],
    [[ALL, deny(to('{ methods: [DELETE] }'))], {}, 'denied-by-rule'],
    [[ALL, deny(to('{ ports: [81], methods: [DELETE] }'))], {}, 'permit'],
    [[ALL, deny(to('{ ports: [80], paths: [/admin] }'))], {}, 'denied-by-rule'],
    [[ALL, deny(`{ from: [{ namespaces: [batch] }], to: [{ paths: [/admin] }] }`)], {}, 'permit'],
  ],
  'needs every field of an entry, any entry of a list, and both lists of a rule': [
    [[allow(from(`{ principals: ["${WEB}"], namespaces: [batch] }`))], {}, 'no-matching-rule'],
    [[allow(from(`{ principals: ["${WEB}"] }, { namespaces: [batch] }`))], {}, 'permit'],
    [[allow(from(`{ principals: ["${WEB}"] }, { namespaces: [batch] }`))], { from: BATCH }, 'permit'],
    [[allow(to('{ methods: [GET], paths: [/a] }'))], { to: 'GET /b' }, 'no-matching-rule'],
    [[allow(to('{ methods: [GET], paths: [/a] }, { paths: [/b] }'))], { to: 'PUT /b' }, 'permit'],
    [[allow(`{ from: [{ namespaces: [shop] }], to: [{ ports: [81] }] }`)], {}, 'no-matching-rule'],
    [[allow(`{ from: [{ namespaces: [shop] }], to: [{ ports: [80] }] }`)], {}, 'permit'],
    [[allow(`{ from: [{ namespaces: [batch] }], to: [{ ports: [80] }] }`)], {}, 'no-matching-rule'],
    [[allow(`${to('{ ports: [81] }')}, ${to('{ ports: [80] }')}`)], {}, 'permit'],
  ],
}

for (const [behaviour, cases] of Object.entries(CASES)) {
  test(`PolicySet ${behaviour}`, () => {
    for (const [specs, question, outcome] of cases)
      assert.equal(ask(specs, question), outcome, `${specs.join(' and ')} asked ${JSON.stringify(question)}`)
  })
}

test('PolicySet applies a policy to its namespace, its service accounts, or from the root namespace to all', () => {
  const set = policySet(
    policy('own', '{ selector: { serviceAccounts: [catalog] }, action: ALLOW, rules: [{}] }'),
    policy('everywhere', deny(to('{ ports: [22] }')), 'handfast-system'),
    policy(
      'system',
      '{ selector: { serviceAccounts: [probe] }, action: ALLOW, rules: [{}] }',
      'handfast-system',
    ),
  )
  const outcome = (namespace: string, serviceAccount: string, port = 80): string =>
    set.decide({ principal: WEB, workload: { namespace, serviceAccount }, port }).cause
  assert.equal(outcome('shop', 'catalog'), 'allowed')
  assert.equal(outcome('shop', 'cart'), 'no-allow-policy')
  assert.equal(outcome('batch', 'catalog'), 'no-allow-policy')
  assert.equal(outcome('batch', 'probe'), 'allowed')
  assert.equal(outcome('shop', 'catalog', 22), 'denied-by-rule')
  assert.equal(outcome('batch', 'probe', 22), 'denied-by-rule')
})

test('PolicySet names the decision, the policy, the rule and the reason', () => {
  const set = policySet(
    policy('readers', allow(`${to('{ ports: [81] }')}, ${to('{ ports: [80] }')}`)),
    policy('no-ssh', deny(to('{ ports: [22] }'))),
  )
  const workload = { namespace: 'shop', serviceAccount: 'catalog' }
  const permit = set.decide({ principal: WEB, workload, port: 80 })
  assert.deepEqual(fieldsOf(permit), {
    kind: 'permit',
    cause: 'allowed',
    id: 'd1',
    revision: set.revision,
    policy: 'shop/readers',
    rule: 1,
    reason: 'allowed by shop/readers rule 1',
    request: { principal: WEB, workload, port: 80 },
  })
  const denial = set.decide({ principal: WEB, workload, port: 22 })
  assert.deepEqual(fieldsOf(denial), {
    kind: 'denial',
    cause: 'denied-by-rule',
    id: 'd2',
    revision: set.revision,
    policy: 'shop/no-ssh',
    rule: 0,
    reason: 'denied by shop/no-ssh rule 0',
    request: { principal: WEB, workload, port: 22 },
  })
  assert.equal(
    set.decide({ principal: WEB, workload, port: 443 }).reason,
    'no rule of the ALLOW policy for shop/catalog matches',
  )
})

test('PolicySet keeps deciding alike when it meets more peers than it remembers', () => {
  const set = policySet(policy('web', allow(from(`{ principals: ["${WEB}"] }`))))
  const evaluator = set.forWorkload({ namespace: 'shop', serviceAccount: 'catalog' })
  for (let index = 0; index < 5_000; index++) {
    const principal = `spiffe://td/ns/shop/sa/peer-${index}`
    assert.equal(evaluator.decide({ principal, port: 80 }).kind, 'denial')
  }
  assert.equal(evaluator.decide({ principal: WEB, port: 80 }).kind, 'permit')
})
