import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { parsePolicies } from '../../../src/authz/parse.ts'
import { simulateCall } from '../../../src/authz/flight/simulate.ts'
import { learnPaths } from '../../../src/authz/flight/learn-paths.ts'
import { suggestPolicies, type Suggestion } from '../../../src/authz/flight/suggest.ts'
import type { FlightDecision } from '../../../src/authz/flight/flight-line.ts'
import { compilePolicies } from '../../../src/authz/compile.ts'
import type { PolicySet } from '../../../src/authz/policy-set.ts'
import type { AuthorizationRequest } from '../../../src/authz/request.ts'
import { yamlDocuments } from '../../../src/config/yaml-text.ts'
import { compileOptions, policy, policySet } from '../support.ts'
import { policySets, recorded, requests } from './arbitraries.ts'

/** As an operator puts them to use: through a file. */
function putToUse(suggestions: readonly Suggestion[]): PolicySet {
  const text = yamlDocuments(suggestions.map(({ policy: suggested }) => suggested))
  return compilePolicies(parsePolicies([{ name: 'suggested.yaml', text }]), compileOptions())
}

/** Whether a request asks for what no pattern can say exactly. */
function isInexact({ http }: AuthorizationRequest): boolean {
  return http !== undefined && (http.path.includes('*') || http.method === 'get')
}

test('suggestPolicies permit exactly the recorded calls that were permitted', () => {
  fc.assert(
    fc.property(
      policySets({ plain: true }),
      fc.array(requests, { minLength: 1, maxLength: 30 }),
      (inForce, asked) => {
        const log = recorded(
          inForce,
          asked.filter((request) => !isInexact(request)),
        )
        const suggestions = suggestPolicies(log)
        // Where a path that cannot be judged was let through, nothing can be said about paths at all.
        if (suggestions.some(({ notes }) => notes.length > 0)) return
        const suggested = putToUse(suggestions)
        for (const decision of log) {
          const call = simulateCall(suggested, decision)
          assert.equal(call.kind === 'decided' && call.verdict, decision.verdict)
        }
      },
    ),
    { numRuns: 1_000 },
  )
})

test('suggestPolicies permit every call that was permitted, whatever it was like', () => {
  fc.assert(
    fc.property(policySets(), fc.array(requests, { maxLength: 20 }), (inForce, asked) => {
      const log = recorded(inForce, asked)
      const suggested = putToUse(suggestPolicies(log))
      for (const decision of log) {
        const call = simulateCall(suggested, decision)
        if (decision.verdict === 'permit') assert.equal(call.kind === 'decided' && call.verdict, 'permit')
      }
    }),
    { numRuns: 1_000 },
  )
})

test('suggestPolicies write one rule for peers that do the same, and templates only where several were seen', () => {
  const everything = policySet(policy('all', '{ action: ALLOW, rules: [{}] }'))
  const call = (peer: string, path: string, method = 'GET', port = 1): AuthorizationRequest => ({
    principal: `spiffe://td/ns/shop/sa/${peer}`,
    workload: { namespace: 'shop', serviceAccount: 'catalog' },
    port,
    http: { method, path },
  })
  const log: FlightDecision[] = recorded(everything, [
    ...['web', 'admin'].flatMap((peer) => [1, 2, 3].map((id) => call(peer, `/orders/${id}`))),
    ...['web', 'admin'].map((peer) => call(peer, '/orders', 'POST')),
    call('web', '/users/1'),
    call('admin', '/users/1'),
    call('batch', '/export', 'GET', 2),
  ])
  const [suggestion] = suggestPolicies(log)
  assert.deepEqual(suggestion?.policy.spec.rules, [
    {
      from: [{ principals: ['spiffe://td/ns/shop/sa/admin', 'spiffe://td/ns/shop/sa/web'] }],
      to: [
        { ports: [1], methods: ['GET'], paths: ['/orders/{id}', '/users/1'] },
        { ports: [1], methods: ['POST'], paths: ['/orders'] },
      ],
    },
    {
      from: [{ principals: ['spiffe://td/ns/shop/sa/batch'] }],
      to: [{ ports: [2], methods: ['GET'], paths: ['/export'] }],
    },
  ])
})

test('suggestPolicies say so where calls were denied that are like others that passed', () => {
  const tiers = policySet(
    policy('gold', '{ action: ALLOW, rules: [{ to: [{ headers: [{ name: x-tier, values: [gold] }] }] }] }'),
  )
  const call = (tier: string): AuthorizationRequest => ({
    principal: 'spiffe://td/ns/shop/sa/web',
    workload: { namespace: 'shop', serviceAccount: 'catalog' },
    port: 1,
    http: { method: 'GET', path: '/a', headers: { 'x-tier': [tier] } },
  })
  const [suggestion] = suggestPolicies(recorded(tiers, [call('gold'), call('tin')]))
  assert.match(suggestion!.notes.join(), /^1 of the calls that were denied would be permitted/)
})

test('learnPaths keeps to what was seen where a template would match what was denied', () => {
  const paths = ['/orders/1', '/orders/2', '/orders/3']
  const learn = (denied: readonly string[], templates = true) => learnPaths(paths, { denied, templates })
  assert.deepEqual(learn([]), ['/orders/{id}'])
  assert.deepEqual(learn(['/orders/4/lines']), ['/orders/{id}'])
  assert.deepEqual(learn(['/orders/4']), paths)
  assert.deepEqual(learn(['/orders/export']), paths)
  assert.deepEqual(learn([], false), paths)
  assert.deepEqual(learnPaths(['/orders/1', '/orders/2'], { denied: [], templates: true }), [
    '/orders/1',
    '/orders/2',
  ])
})
