import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { changesAnything, simulateCall, Simulator } from '../../../src/authz/flight/simulate.ts'
import type { PolicySet } from '../../../src/authz/policy-set.ts'
import type { AuthorizationRequest } from '../../../src/authz/request.ts'
import { policy, policySet } from '../support.ts'
import { policySets, recorded, requests } from './arbitraries.ts'

test('simulateCall says of a recorded call what the policy says of the call itself, or that too little was recorded', () => {
  let known = 0
  fc.assert(
    fc.property(policySets(), policySets(), requests, (inForce, tried, request) => {
      const [decision] = recorded(inForce, [request])
      const call = simulateCall(tried, decision!)
      if (call.kind === 'unknown') return
      known++
      const { kind, cause, reason, policy: name, rule } = tried.decide(request)
      const expected = { kind: 'decided', verdict: kind, cause, reason, policy: name, rule }
      assert.deepEqual(
        call,
        Object.fromEntries(Object.entries(expected).filter(([, value]) => value !== undefined)),
      )
    }),
    { numRuns: 5_000 },
  )
  assert.ok(known > 2_000, `only ${known} calls were known`)
})

test('simulateCall knows all of a call that the same policy has decided, but for credentials', () => {
  fc.assert(
    fc.property(policySets(), requests, (policies, request) => {
      const [decision] = recorded(policies, [request])
      const call = simulateCall(policies, decision!)
      if (call.kind === 'unknown') assert.deepEqual(call.unknown, ['the header authorization'])
      else assert.equal(call.verdict, decision!.verdict)
    }),
    { numRuns: 2_000 },
  )
})

const web = (path: string, method = 'GET'): AuthorizationRequest => ({
  principal: 'spiffe://td/ns/shop/sa/web',
  workload: { namespace: 'shop', serviceAccount: 'catalog' },
  port: 1,
  http: { method, path, headers: {} },
})

function simulated(inForce: PolicySet, tried: PolicySet, asked: readonly AuthorizationRequest[]) {
  const simulator = new Simulator(tried)
  for (const decision of recorded(inForce, asked)) simulator.add(decision)
  return simulator.result()
}

const READ = policySet(policy('read', '{ action: ALLOW, rules: [{ to: [{ methods: [GET] }] }] }'))
const WRITE = policySet(policy('write', '{ action: ALLOW, rules: [{ to: [{ methods: [POST] }] }] }'))

test('Simulator counts the same calls together, and tells edges that are cut from such as are not', () => {
  const result = simulated(READ, WRITE, [web('/orders/1'), web('/orders/2'), web('/other')])
  assert.deepEqual(
    result.newlyDenied.map(({ calls, method, path, why }) => [calls, method, path, why]),
    [
      [2, 'GET', '/orders/{id}', 'no rule of the ALLOW policy for shop/catalog matches'],
      [1, 'GET', '/other', 'no rule of the ALLOW policy for shop/catalog matches'],
    ],
  )
  assert.deepEqual([result.calls, result.unchanged, result.edgesCut.length], [3, 0, 1])
  const mixed = simulated(READ, WRITE, [web('/a'), web('/a', 'POST')])
  assert.deepEqual(
    [mixed.newlyDenied.length, mixed.newlyAllowed.length, mixed.edgesCut, mixed.edgesOpened],
    [1, 1, [], []],
  )
})

test('Simulator finds no change where there is none, and never guesses', () => {
  assert.equal(changesAnything(simulated(READ, READ, [web('/a'), web('/a', 'POST')])), false)
  const tier = policySet(
    policy('tier', '{ action: ALLOW, rules: [{ to: [{ headers: [{ name: x-tier, values: [gold] }] }] }] }'),
  )
  const result = simulated(READ, tier, [web('/a')])
  assert.deepEqual(
    result.unknown.map(({ why }) => why),
    ['policy reads the header x-tier'],
  )
  assert.ok(changesAnything(result))
  assert.deepEqual(simulated(tier, tier, [web('/a')]).unknown, [])
})
