import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { parseAllDocuments } from 'yaml'
import type { Permit } from '../../src/authz/decide.ts'
import type { Denial, RuleName } from '../../src/authz/decision.ts'
import { parsePolicies } from '../../src/authz/parse.ts'
import type { PolicySet } from '../../src/authz/policy-set.ts'
import type { AuthorizationRequest } from '../../src/authz/request.ts'
import { allResources } from '../../src/authz/resources.ts'
import { policySet } from './support.ts'

/** See cases/README.md. */
interface Group {
  readonly about: string
  readonly default?: 'ALLOW' | 'DENY'
  readonly policies: readonly (Readonly<Record<string, unknown>> & {
    readonly namespace?: string
    readonly selector?: readonly string[]
  })[]
  readonly cases: readonly Case[]
}

interface Case {
  readonly principal?: string
  readonly workload?: string
  readonly port?: number
  readonly sourceIp?: string
  readonly tls?: NonNullable<AuthorizationRequest['tls']>
  /** Method and target. */
  readonly http?: string
  readonly host?: string
  readonly headers?: Readonly<Record<string, readonly string[]>>
  readonly token?: { readonly principal?: string; readonly claims?: Readonly<Record<string, unknown>> }

  readonly is: string
  readonly by?: string
  readonly field?: string
  readonly got?: string | number | null
  readonly wanted?: readonly (string | number)[]
  readonly says?: string
  readonly audited?: readonly string[]
  readonly dryRun?: string | null
}

const DIRECTORY = join(import.meta.dirname, 'cases')

const GROUPS: readonly Group[] = globSync('*.yaml', { cwd: DIRECTORY }).flatMap((file) =>
  parseAllDocuments(readFileSync(join(DIRECTORY, file), 'utf8')).flatMap(
    (document) => document.toJS() as Group[],
  ),
)

function policiesOf({ policies, default: action }: Group): PolicySet {
  const resources = policies.map(({ namespace = 'shop', selector, ...spec }, index) => ({
    apiVersion: 'handfast.dev/v1alpha1',
    kind: 'AuthorizationPolicy',
    metadata: { name: `p${index}`, namespace },
    spec: { ...(selector && { selector: { serviceAccounts: selector } }), ...spec },
  }))
  const standard = {
    apiVersion: 'handfast.dev/v1alpha1',
    kind: 'AuthorizationDefault',
    metadata: { name: 'mesh', namespace: 'handfast-system' },
    spec: { action },
  }
  const documents = [...resources, ...(action === undefined ? [] : [standard])]
  const text = documents.map((document) => JSON.stringify(document)).join('\n---\n')
  return policySet(...allResources(parsePolicies([{ name: 'case.yaml', text }])))
}

function requestOf(one: Case): AuthorizationRequest {
  const { principal = 'spiffe://td/ns/shop/sa/web', workload = 'shop/catalog', port = 80 } = one
  const { sourceIp, tls, http, host, headers, token } = one
  const [namespace, serviceAccount] = workload.split('/')
  const [method, path] = http?.split(' ') ?? []
  return {
    principal,
    workload: { namespace: namespace!, serviceAccount: serviceAccount! },
    port,
    ...(sourceIp !== undefined && { sourceIp }),
    ...(tls && { tls }),
    ...(method !== undefined &&
      path !== undefined && {
        http: { method, path, ...(host !== undefined && { host }), ...(headers && { headers }) },
      }),
    ...(token && { token: { principal: token.principal ?? 'iss/sub', claims: token.claims ?? {} } }),
  }
}

/** As cases name rules: those of shop without their namespace. */
function shortName({ policy, rule }: RuleName): string {
  return `${policy.replace(/^shop\//, '')}/${rule}`
}

test('the table of cases is large enough to mean something', (t) => {
  const count = GROUPS.reduce((sum, { cases }) => sum + cases.length, 0)
  t.diagnostic(`${count} cases`)
  assert.ok(count >= 200)
})

for (const group of GROUPS) {
  test(`PolicySet decides and explains: ${group.about}`, () => {
    const set = policiesOf(group)
    for (const one of group.cases) check(set.decide(requestOf(one)), one)
  })
}

function check(decision: Permit | Denial, one: Case): void {
  const label = JSON.stringify(one)
  assert.equal(decision.cause, one.is, label)
  assert.equal(decision.kind, one.is.startsWith('allowed') ? 'permit' : 'denial', label)
  if (one.says !== undefined) assert.ok(decision.reason.includes(one.says), `${decision.reason}: ${label}`)
  const by = decision.policy === undefined ? undefined : shortName(decision as RuleName)
  assert.equal(by, one.by, label)
  if (one.audited !== undefined) assert.deepEqual((decision.audited ?? []).map(shortName), one.audited, label)
  if (one.dryRun !== undefined) assert.equal(dryRunOf(decision) ?? null, one.dryRun, label)
  // Every case has its reason, and those that a rule decides have its field.
  if (decision.kind === 'denial' && one.is !== 'no-matching-rule' && one.is !== 'denied-by-rule')
    assert.ok(one.says !== undefined, label)
  else if (decision.kind === 'denial') assert.ok(one.field !== undefined, label)
  if (one.field !== undefined) checkField(decision, one)
  tellsThePeerNothing(decision)
}

function checkField(decision: Permit | Denial, one: Case): void {
  const label = JSON.stringify(one)
  const deciding = decision
    .rules()
    .find(({ policy, rule }) => policy === decision.policy && rule === decision.rule)
  const shown =
    one.is === 'no-matching-rule'
      ? (decision as Denial).considered()[0]
      : deciding?.fields.find(({ field, holds }) => field === one.field && holds)
  assert.equal(shown?.field, one.field, label)
  if (one.got !== undefined) assert.equal(shown?.got ?? null, one.got, label)
  if (one.wanted !== undefined) assert.deepEqual(shown?.wanted, one.wanted, label)
}

function dryRunOf({ dryRun }: Permit | Denial): string | undefined {
  if (dryRun === undefined) return undefined
  const { cause, policy, rule } = dryRun
  return policy === undefined ? cause : `${cause} ${shortName({ policy, rule: rule! })}`
}

/** What is kept of a request holds no secret; what peers are told is the id, and test/proxy sees to it. */
function tellsThePeerNothing(decision: Permit | Denial): void {
  const kept = JSON.stringify([decision.request, decision.rules()])
  assert.ok(!kept.includes('s3cret'), kept)
}
