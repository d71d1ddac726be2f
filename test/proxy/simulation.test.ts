import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import test from 'node:test'
import { compilePolicies } from '../../src/authz/compile.ts'
import { decodeFlightLine } from '../../src/authz/flight/decode.ts'
import type { FlightDecision } from '../../src/authz/flight/flight-line.ts'
import { simulateCall, Simulator } from '../../src/authz/flight/simulate.ts'
import { parsePolicies } from '../../src/authz/parse.ts'
import type { PolicySet } from '../../src/authz/policy-set.ts'
import { decisionIds } from '../../src/proxy/decision-ids.ts'
import { httpApp } from '../support/apps.ts'
import { TRUST_DOMAIN } from '../support/certificates.ts'
import { crypto, fetchFrom, idOf, worldOf, type TestProxy } from '../support/proxy-world.ts'

/** Reads all that the policies tried afterwards read, and allows nearly everything. */
const IN_FORCE = `
- spec: { action: ALLOW, rules: [{}, { to: [{ methods: [GET], hosts: [shop.example], headers: [{ name: x-tier, values: [gold] }] }] }] }
`

/** Each of other fields. */
const TRIED: Readonly<Record<string, string>> = {
  'by method and path': `
- spec: { action: ALLOW, rules: [{ to: [{ methods: [GET], paths: [/, '/orders/{id}', '/static/*'] }] }] }`,
  'by host, with a denial': `
- spec: { action: ALLOW, rules: [{ to: [{ hosts: ['*.example'] }] }] }
- spec: { action: DENY, rules: [{ to: [{ paths: ['/admin*'] }] }, { to: [{ methods: [DELETE] }] }] }`,
  'by header': `
- spec: { action: ALLOW, rules: [{ to: [{ headers: [{ name: x-tier, values: [gold, 'silver*'] }] }] }] }
- spec: { action: AUDIT, rules: [{}] }`,
  'by what is not there': `
- spec: { action: ALLOW, rules: [{ to: [{ notPaths: ['/admin', '/admin/*'], headers: [{ name: x-tier, notValues: [tin] }] }] }] }`,
  'by an expression': `
- spec: { action: ALLOW, rules: [{ when: [{ expression: 'request.path == "/" || request.headers["x-tier"] == "gold"' }] }] }
- spec: { action: DENY, dryRun: true, rules: [{}] }`,
  'by who calls': `
- spec: { action: ALLOW, rules: [{ from: [{ principals: ["${idOf('web')}"], ipBlocks: [127.0.0.0/8] }], to: [{ methods: [GET, POST] }] }] }
- spec: { action: DENY, rules: [{ from: [{ notIpBlocks: [127.0.0.1] }] }] }`,
  'by nothing at all': '',
}

function compiled(list: string): PolicySet {
  const text = list
    .split('\n- ')
    .slice(1)
    .map(
      (body, index) => `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: p${index}, namespace: shop }
${body}`,
    )
    .join('\n---\n')
  const files = text === '' ? [] : [{ name: 'policy.yaml', text }]
  return compilePolicies(parsePolicies(files), {
    crypto,
    trustDomain: TRUST_DOMAIN,
    newId: decisionIds(crypto),
  })
}

interface Call {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[]>>
}

const CALLS: readonly Call[] = ['GET', 'POST', 'DELETE'].flatMap((method) =>
  [
    '/',
    '/orders/7',
    '/orders/7?x=1',
    '/static/a/b',
    '/admin',
    '/admin/x',
    '/%61dmin',
    '/a/../admin',
    '//admin',
  ].flatMap((path) =>
    ['shop.example', 'other.test:80'].flatMap((host) =>
      [
        {},
        { 'x-tier': 'gold' },
        { 'x-tier': ['gold', 'tin'] },
        { x_tier: 'gold' },
        { connection: 'x-tier', 'x-tier': 'gold' },
      ].map((headers) => ({ method, path, headers: { host, ...headers } })),
    ),
  ),
)

test('simulation on a recorded log says, call by call, what the proxy does once the policy is applied', async (t) => {
  const app = await httpApp(t, (incoming, response) => {
    incoming.resume()
    response.end('ok')
  })
  const { catalog, entry } = await worldOf(t, { protocol: 'http', app: app.address })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const makeAll = async (): Promise<FlightDecision[]> => {
    const last = (await decisionsOf(catalog)).at(-1)?.seq ?? 0
    for (const { method, path, headers } of CALLS) await fetchFrom(entry, { agent, method, path, headers })
    return (await decisionsOf(catalog)).filter(({ seq }) => seq > last)
  }
  await catalog.publishPolicy(compiled(IN_FORCE))
  const recorded = await makeAll()
  assert.equal(recorded.length, CALLS.length)

  for (const [name, list] of Object.entries(TRIED)) {
    const policies = compiled(list)
    const simulator = new Simulator(policies)
    for (const decision of recorded) simulator.add(decision)
    const calls = recorded.map((decision) => simulateCall(policies, decision))

    await catalog.publishPolicy(policies)
    const actual = await makeAll()
    assert.deepEqual(
      calls.map(
        (call) => call.kind === 'decided' && [call.verdict, call.cause, call.policy, call.rule, call.reason],
      ),
      actual.map(({ verdict, cause, policy, rule, reason }) => [verdict, cause, policy, rule, reason]),
      name,
    )
    const { newlyDenied, newlyAllowed, unknown } = simulator.result()
    const count = (groups: typeof newlyDenied): number => groups.reduce((sum, group) => sum + group.calls, 0)
    const changed = (from: string, to: string): number =>
      actual.filter(({ verdict }, index) => recorded[index]!.verdict === from && verdict === to).length
    assert.deepEqual(
      [count(newlyDenied), count(newlyAllowed), count(unknown)],
      [changed('permit', 'denial'), changed('denial', 'permit'), 0],
      name,
    )
  }
})

async function decisionsOf({ admin }: TestProxy): Promise<FlightDecision[]> {
  const { text } = await fetchFrom(admin, { path: '/flight-log' })
  return text
    .split('\n')
    .slice(0, -1)
    .map(decodeFlightLine)
    .filter((line) => line.kind === 'decision')
}
