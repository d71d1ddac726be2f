import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { formatAddress } from '../../src/config/address.ts'
import { httpApp } from '../support/apps.ts'
import { allow, fetchFrom, idOf, policy, worldOf, type World } from '../support/proxy-world.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { runCli } from './cli.ts'

async function shop(t: TestContext): Promise<World> {
  const app = await httpApp(t, (_incoming, response) => response.end('ok'))
  return worldOf(t, { protocol: 'http', app: app.address })
}

async function policyFile(t: TestContext, spec: string): Promise<string> {
  const file = join(await temporaryDirectory(t), 'policy.yaml')
  await writeFile(
    file,
    `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: catalog, namespace: shop }
spec: ${spec}
`,
  )
  return file
}

/** `handfast authz check` of a call from web to port 80 of catalog, with `flags` besides. */
function checkCall(t: TestContext, file: string, flags: readonly string[]): ReturnType<typeof runCli> {
  const call = ['--from', idOf('web'), '--to', 'shop/catalog', '--port', '80']
  return runCli(t, ['authz', 'check', '-f', file, ...call, ...flags])
}

const READERS = `{ action: ALLOW, rules: [{ from: [{ principals: ["${idOf('web')}"] }], to: [{ methods: [GET], paths: ["/orders/{id}"] }] }] }`

test('handfast authz check decides a call by files: exit code, and field by field what was wanted and what came', async (t) => {
  const file = await policyFile(t, READERS)
  const check = (...flags: readonly string[]) => checkCall(t, file, flags)
  const permitted = await check('--path', '/orders/7')
  assert.equal(permitted.code, 0, permitted.stderr)
  assert.match(permitted.stdout, /^Permitted: allowed by shop\/catalog rule 0 \(allowed\)\n/)
  const denied = await check('--method', 'POST', '--path', '/orders/7')
  assert.equal(denied.code, 1)
  assert.match(denied.stdout, /^Denied: no rule of the ALLOW policy for shop\/catalog matches/)
  assert.match(denied.stdout, /✗ rules\[0\]\.to\[0\]\.methods +came POST; would match: GET\n/)
  assert.match(denied.stdout, /✓ rules\[0\]\.to\[0\]\.paths +came \/orders\/7\n/)
  const json = JSON.parse((await check('--json')).stdout) as Record<string, unknown>
  assert.deepEqual([json['verdict'], json['cause']], ['denial', 'no-matching-rule'])
  assert.equal((json['rules'] as unknown[]).length, 1)
})

test('handfast authz check reads headers, claims and what a handshake settles', async (t) => {
  const file = await policyFile(
    t,
    `{ action: ALLOW, rules: [{ from: [{ ipBlocks: [10.0.0.0/8] }], to: [{ headers: [{ name: x-tier, values: [gold] }] }],
        when: [{ key: "request.auth.claims[groups]", values: [dev] }, { key: connection.sni, values: [catalog] }] }] }`,
  )
  const flags = [
    '--header',
    'X-Tier: gold',
    '--claim',
    'groups=["ops","dev"]',
    '--sni',
    'catalog',
    '--source',
    '10.1.2.3',
  ]
  const check = (given: readonly string[]) => checkCall(t, file, given)
  assert.equal((await check(flags)).code, 0)
  for (const missing of [0, 2, 4, 6]) assert.equal((await check(flags.toSpliced(missing, 2))).code, 1)
  assert.equal((await check([...flags, '--header', 'no header'])).code, 2)
  assert.equal((await check([...flags, '--claim', 'none'])).code, 2)
})

test('handfast authz explain tells by the id of a decision which rule denied, and which policy was in force when', async (t) => {
  const { catalog, entry } = await shop(t)
  await catalog.publishPolicy(policy(allow('someone-else')))
  const denied = await fetchFrom(entry, { path: '/orders/7?secret=1' })
  const id = String(denied.headers['x-handfast-decision'])
  const admin = ['--admin', formatAddress(catalog.admin)]
  const { code, stdout } = await runCli(t, ['authz', 'explain', id, ...admin])
  assert.equal(code, 0)
  assert.match(stdout, new RegExp(`^Decision ${id} at 2`))
  assert.ok(
    stdout.includes(`${idOf('web')} → shop/catalog:${catalog.addresses['catalog']!.port} GET /orders/7\n`),
  )
  assert.ok(stdout.includes(`came ${idOf('web')}; would match: ${idOf('someone-else')}`))
  assert.match(
    stdout,
    /Decided by policy [0-9a-f]{16}, received at 2\S+, in force since 2\S+\nIt is the newest\n$/,
  )
  await catalog.publishPolicy(policy(allow('web')))
  assert.match(
    (await runCli(t, ['authz', 'explain', id, ...admin])).stdout,
    /\nThe newest is [0-9a-f]{16}, received/,
  )
  const unknown = await runCli(t, ['authz', 'explain', 'ffff', ...admin])
  assert.equal(unknown.code, 1)
  assert.match(unknown.stderr, /COMMAND_ADMIN_REFUSED: .*There is no decision ffff, or it is too long ago/)
})

test('handfast authz simulate tells by its exit code whether anything would change, and what', async (t) => {
  const { catalog, entry, gate } = await shop(t)
  await catalog.publishPolicy(policy(`${allow('web')}\n      to: [{ methods: [GET, POST] }]`))
  for (const path of ['/orders/1', '/orders/2', '/admin']) await fetchFrom(entry, { path })
  const admin = ['--admin', formatAddress(catalog.admin)]
  const file = await policyFile(t, READERS)
  const changed = await runCli(t, ['authz', 'simulate', '-f', file, ...admin])
  assert.equal(changed.code, 1, changed.stderr)
  assert.match(changed.stdout, /^3 calls by policy [0-9a-f]{16}: 2 as they were\n\nNewly denied: 1\n/)
  assert.ok(changed.stdout.includes(`1 × ${idOf('web')} → shop/catalog:${gate.port} GET /admin\n`))

  const log = join(await temporaryDirectory(t), 'flight.jsonl')
  await runCli(t, ['authz', 'log', ...admin, '--output', log])
  const all = await policyFile(t, '{ action: ALLOW, rules: [{}] }')
  const same = await runCli(t, ['authz', 'simulate', '-f', all, '--log', log, '--json'])
  assert.equal(same.code, 0)
  assert.deepEqual(
    (({ calls, unchanged, newlyDenied }) => [calls, unchanged, newlyDenied])(
      JSON.parse(same.stdout) as { calls: number; unchanged: number; newlyDenied: unknown },
    ),
    [3, 3, []],
  )

  const suggested = await runCli(t, ['authz', 'suggest', '--log', log])
  assert.equal(suggested.code, 0)
  const suggestion = join(await temporaryDirectory(t), 'suggested.yaml')
  await writeFile(suggestion, suggested.stdout)
  assert.equal((await runCli(t, ['authz', 'simulate', '-f', suggestion, '--log', log])).code, 0)

  await writeFile(log, `${await readFile(log, 'utf8')}{"v":1,"kind":\n`)
  const broken = await runCli(t, ['authz', 'simulate', '-f', all, '--log', log])
  assert.equal(broken.code, 1)
  assert.match(broken.stderr, /AUTHZ_FLIGHT_LOG: \S+flight\.jsonl:\d+: The line is not JSON/)
  assert.equal((await runCli(t, ['authz', 'simulate', '-f', all, '--log', `${log}.gone`])).code, 2)
})

test('handfast authz coverage names rules that are not used, principals that nobody has and ports without rules', async (t) => {
  const { catalog, entry, gate } = await shop(t)
  await fetchFrom(entry, { path: '/orders/1' })
  const file = await policyFile(
    t,
    `{ selector: { serviceAccounts: [catalog] }, action: ALLOW, rules: [{ to: [{ ports: [${gate.port}] }] },
        { from: [{ principals: ["${idOf('gone')}"] }], to: [{ ports: [1] }] }] }`,
  )
  const identities = join(await temporaryDirectory(t), 'identities')
  await writeFile(identities, `${idOf('web')}\n${idOf('catalog')}\n`)
  const admin = ['--admin', formatAddress(catalog.admin)]
  const { code, stdout } = await runCli(t, [
    'authz',
    'coverage',
    '-f',
    file,
    ...admin,
    '--identities',
    identities,
  ])
  assert.equal(code, 1)
  assert.equal(
    stdout,
    `Rules that decided nothing: 1
  shop/catalog rule 1

Principals that do not exist: 1
  ${idOf('gone')} in shop/catalog rule 1

Ports that are guarded and not open: 1
  shop/catalog:1 by shop/catalog
`,
  )
})
