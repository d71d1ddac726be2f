import assert from 'node:assert/strict'
import test from 'node:test'
import { Denial } from '../../src/authz/decision.ts'
import type { Miss } from '../../src/authz/explain.ts'
import type { AuthorizationRequest } from '../../src/authz/request.ts'
import { policy, policySet } from './support.ts'

const REQUEST: AuthorizationRequest = {
  principal: 'spiffe://td/ns/shop/sa/web',
  workload: { namespace: 'shop', serviceAccount: 'catalog' },
  port: 80,
  http: { method: 'POST', path: '/orders?x=1' },
}

function considered(spec: string, request: AuthorizationRequest = REQUEST): readonly Miss[] {
  const denial = policySet(policy('p', spec)).decide(request)
  assert.ok(denial instanceof Denial)
  return denial.considered()
}

test('Denial names the first field that missed, what it wanted and what came', () => {
  assert.deepEqual(
    considered('{ action: ALLOW, rules: [{ to: [{ ports: [80], methods: [GET], paths: [/orders] }] }] }'),
    [{ policy: 'shop/p', field: 'rules[0].to[0].methods', wanted: ['GET'], got: 'POST' }],
  )
  assert.deepEqual(considered('{ action: ALLOW, rules: [{ to: [{ notPaths: [/orders] }] }] }'), [
    { policy: 'shop/p', field: 'rules[0].to[0].notPaths', wanted: ['/orders'], got: '/orders' },
  ])
})

test('Denial shows the rule and the alternative that came nearest', () => {
  const rules = [
    '{ from: [{ namespaces: [batch] }, { principals: ["spiffe://td/*"], namespaces: [batch] }] }',
    '{ from: [{ namespaces: [shop] }], to: [{ ports: [81] }] }',
    '{ from: [{ namespaces: [shop] }], to: [{ ports: [81] }, { ports: [80], methods: [GET] }] }',
    '{ from: [{ namespaces: [batch] }], to: [{ ports: [80] }] }',
    '{ from: [{ namespaces: [shop] }], to: [{ ports: [80], paths: [/] }] }',
  ]
  const nearest = (count: number): string => {
    const chosen = rules.slice(0, count).join(', ')
    return considered(`{ action: ALLOW, rules: [${chosen}] }`)[0]!.field
  }
  assert.equal(nearest(1), 'rules[0].from[1].namespaces')
  assert.equal(nearest(2), 'rules[1].to[0].ports')
  assert.equal(nearest(3), 'rules[2].to[1].methods')
  assert.equal(nearest(5), 'rules[2].to[1].methods')
})

test('Denial leaves out what the request does not have', () => {
  const { http: _, ...tcp } = REQUEST
  assert.deepEqual(considered('{ action: ALLOW, rules: [{ to: [{ methods: [POST] }] }] }', tcp), [
    { policy: 'shop/p', field: 'rules[0].to[0].methods', wanted: ['POST'] },
  ])
  assert.deepEqual(
    considered('{ action: ALLOW, rules: [{ from: [{ namespaces: [shop] }] }] }', {
      ...REQUEST,
      principal: 'spiffe://other/ns/shop/sa/web',
    }),
    [{ policy: 'shop/p', field: 'rules[0].from[0].namespaces', wanted: ['shop'] }],
  )
})

test('Denial says of an ALLOW policy without rules that it has none', () => {
  assert.deepEqual(considered('{ action: ALLOW }'), [{ policy: 'shop/p', field: 'rules', wanted: [] }])
})

test('Denial considers every candidate in order, up to a bound', () => {
  const set = policySet(
    ...Array.from({ length: 20 }, (_, index) =>
      policy(`p${String(index).padStart(2, '0')}`, '{ action: ALLOW, rules: [{ to: [{ ports: [1] }] }] }'),
    ),
    policy('not-here', '{ selector: { serviceAccounts: [cart] }, action: ALLOW }'),
  )
  const denial = set.decide(REQUEST)
  assert.ok(denial instanceof Denial)
  assert.equal(denial.reason, 'no rule of the 20 ALLOW policies for shop/catalog matches')
  assert.deepEqual(
    denial.considered().map(({ policy }) => policy),
    Array.from({ length: 16 }, (_, index) => `shop/p${String(index).padStart(2, '0')}`),
  )
})

test('Denial shows a long list of wanted values in part', () => {
  const ports = Array.from({ length: 100 }, (_, index) => 1_000 + index)
  const [miss] = considered(`{ action: ALLOW, rules: [{ to: [{ ports: [${ports.join(', ')}] }] }] }`)
  assert.deepEqual(miss?.wanted, ports.slice(0, 8))
})
