import assert from 'node:assert/strict'
import test from 'node:test'
import { coverageOf, isCovered } from '../../../src/authz/flight/coverage.ts'
import type { FlightLine, FlightProxy } from '../../../src/authz/flight/flight-line.ts'
import { policy, policySet } from '../support.ts'
import { recorded } from './arbitraries.ts'

const CATALOG = { namespace: 'shop', serviceAccount: 'catalog' }
const BASKET = { namespace: 'shop', serviceAccount: 'basket' }
const WEB = 'spiffe://td/ns/shop/sa/web'

const proxy = (workload: FlightProxy['workload'], ...ports: readonly number[]): FlightLine => ({
  kind: 'proxy',
  atMs: 0,
  ...(workload && { workload }),
  trustDomain: 'td',
  listeners: ports.map((port) => ({ name: `l${port}`, port, protocol: 'http' })),
})

const POLICIES = policySet(
  policy(
    'catalog',
    `{ selector: { serviceAccounts: [catalog] }, action: ALLOW, rules: [
       { from: [{ principals: ["${WEB}"] }], to: [{ ports: [1] }] },
       { from: [{ principals: ["spiffe://td/ns/shop/sa/gone", "spiffe://td/ns/old/*", "spiffe://other/x"] }], to: [{ ports: [1, 9] }] }] }`,
  ),
)

test('coverageOf finds what policy and traffic do not have in common', () => {
  const log: FlightLine[] = [
    proxy(CATALOG, 1, 2),
    proxy(BASKET, 3),
    proxy({ namespace: 'shop', serviceAccount: 'web' }),
    ...recorded(POLICIES, [{ principal: WEB, workload: CATALOG, port: 1 }]),
  ]
  const coverage = coverageOf(log, { policies: POLICIES, identities: [WEB] })
  assert.deepEqual(coverage, {
    withoutPolicy: [BASKET],
    neverHit: [{ policy: 'shop/catalog', rule: 1 }],
    unknownPrincipals: [
      { policy: 'shop/catalog', rule: 1, principal: 'spiffe://td/ns/old/*' },
      { policy: 'shop/catalog', rule: 1, principal: 'spiffe://td/ns/shop/sa/gone' },
    ],
    guardedNotOpen: [{ workload: CATALOG, port: 9, policies: ['shop/catalog'] }],
    openNotGuarded: [
      { workload: CATALOG, port: 2 },
      { workload: BASKET, port: 3 },
    ],
    unknownCalls: 0,
  })
  assert.equal(isCovered(coverage), false)
  assert.deepEqual(coverageOf(log, { policies: POLICIES }).unknownPrincipals, [])
})

test('coverageOf has nothing to say where everything fits, rules that only audit included', () => {
  const policies = policySet(
    policy('allow', '{ action: ALLOW, rules: [{ to: [{ ports: [1] }] }] }'),
    policy('watch', '{ action: AUDIT, rules: [{}] }'),
  )
  const log = [proxy(CATALOG, 1), ...recorded(policies, [{ principal: WEB, workload: CATALOG, port: 1 }])]
  assert.ok(isCovered(coverageOf(log, { policies, identities: [WEB] })))
})
