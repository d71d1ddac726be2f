import assert from 'node:assert/strict'
import test from 'node:test'
import { compilePolicies } from '../../../src/authz/compile.ts'
import { decodeFlightLine } from '../../../src/authz/flight/decode.ts'
import { parsePolicies } from '../../../src/authz/parse.ts'
import type { PolicySet } from '../../../src/authz/policy-set.ts'
import { decisionIds } from '../../../src/proxy/decision-ids.ts'
import { TRUST_DOMAIN } from '../../support/certificates.ts'
import { mirrored } from '../../support/http-mirror.ts'
import { crypto, fetchFrom } from '../../support/proxy-world.ts'

function policies(...specs: readonly string[]): PolicySet {
  const text = specs
    .map(
      (spec, index) => `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: p${index}, namespace: shop }
spec: ${spec}
`,
    )
    .join('---\n')
  return compilePolicies(parsePolicies([{ name: 'policy.yaml', text }]), {
    crypto,
    trustDomain: TRUST_DOMAIN,
    newId: decisionIds(crypto),
  })
}

test('proxy does not enforce policies on trial, tells and counts what they would have said, and notes what AUDIT policies match', async (t) => {
  const { world } = await mirrored(t)
  const { catalog, entry } = world
  await catalog.publishPolicy(
    policies(
      '{ action: ALLOW, rules: [{ to: [{ paths: [/open, /old] }] }] }',
      '{ action: DENY, dryRun: true, rules: [{ to: [{ paths: [/old] }] }] }',
      '{ action: ALLOW, dryRun: true, rules: [{ to: [{ paths: [/new] }] }] }',
      '{ action: AUDIT, rules: [{ to: [{ paths: ["/o*"] }] }] }',
    ),
  )
  const statuses: number[] = []
  for (const path of ['/open', '/old', '/new', '/x']) statuses.push((await fetchFrom(entry, { path })).status)
  assert.deepEqual(statuses, [200, 200, 403, 403])

  const { text } = await fetchFrom(catalog.admin, { path: '/flight-log' })
  const decisions = text
    .split('\n')
    .slice(0, -1)
    .map(decodeFlightLine)
    .filter((line) => line.kind === 'decision')
  assert.deepEqual(
    decisions.map(({ verdict, trial, audits }) => [
      verdict,
      trial?.verdict,
      trial?.policy,
      audits?.[0]?.policy,
    ]),
    [
      ['permit', 'permit', 'shop/p0', 'shop/p3'],
      ['permit', 'denial', 'shop/p1', 'shop/p3'],
      ['denial', 'permit', 'shop/p2', undefined],
      ['denial', 'denial', undefined, undefined],
    ],
  )
  const [thread] = JSON.parse((await fetchFrom(catalog.admin, { path: '/threads' })).text) as {
    counters: Record<string, number>
  }[]
  const { trialDenials, trialPermits, audits } = thread!.counters
  assert.deepEqual([trialDenials, trialPermits, audits], [1, 1, 2])
  const entries = await catalog.log.saw('access', 4)
  assert.deepEqual(
    entries.map(({ fields }) => (fields['trial'] as { kind: string }).kind),
    ['permit', 'denial', 'permit', 'denial'],
  )
})
