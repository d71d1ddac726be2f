import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import * as fc from 'fast-check'
import { compilePolicies } from '../../src/authz/compile.ts'
import type { Permit } from '../../src/authz/decide.ts'
import type { Denial } from '../../src/authz/decision.ts'
import { compileExpression } from '../../src/authz/expression.ts'
import type { PolicySet } from '../../src/authz/policy-set.ts'
import { policyResources, type PolicyResources } from '../../src/authz/resources.ts'
import { deserializePolicies, serializePolicies } from '../../src/authz/serialize.ts'
import type { AuthorizationDefault } from '../../src/config/policy-resource.ts'
import { isPrincipalPattern, isWorkloadId } from '../../src/config/spiffe.ts'
import { expressions, policiesOf, principalPatterns, principals, request } from './arbitraries.ts'
import { decideNaively } from './naive-evaluator.ts'
import { compileOptions, fieldsOf } from './support.ts'

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
