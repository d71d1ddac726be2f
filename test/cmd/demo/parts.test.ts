import assert from 'node:assert/strict'
import test from 'node:test'
import { painter } from '../../../src/diagnose/layout.ts'
import { plainAlert, spacedHex } from '../../../src/cmd/demo/alert-bytes.ts'
import { lastWords, parseLine } from '../../../src/cmd/demo/child.ts'
import { logName } from '../../../src/cmd/demo/family.ts'
import { shellQuote } from '../../../src/cmd/demo/invitation.ts'
import { stepHead, stepOutcome } from '../../../src/cmd/demo/narrate.ts'
import { closing } from '../../../src/cmd/demo/passages.ts'
import { nearPath } from '../../../src/cmd/demo/program.ts'
import { controllerYaml, POLICY_NAME, policyYaml, sidecarYaml } from '../../../src/cmd/demo/resources.ts'
import { policyNews } from '../../../src/cmd/demo/run-demo.ts'
import { idOf } from '../../../src/cmd/demo/shop.ts'
import { Evidence } from '../../../src/cmd/demo/step.ts'
import { failureText, missText, newRequestsText, serialText } from '../../../src/cmd/demo/words.ts'
import { parsePolicies } from '../../../src/authz/parse.ts'
import { policyName } from '../../../src/authz/policy-name.ts'
import { controllerConfigSchema } from '../../../src/config/controller-config.ts'
import { parseYaml } from '../../../src/config/parse.ts'
import { proxyConfigSchema } from '../../../src/config/proxy-config.ts'

const LOOK = { paint: painter(false), width: 80 }

test('plainAlert reads an alert record and nothing else', () => {
  assert.equal(plainAlert(Uint8Array.of(21, 3, 3, 0, 2, 2, 10)), 'alert, fatal, unexpected_message')
  assert.equal(plainAlert(Uint8Array.of(21, 3, 3, 0, 2, 1, 0)), 'alert, warning, close_notify')
  for (const other of [
    [],
    [22, 3, 3, 0, 2, 2, 10],
    [21, 3, 3, 0, 2, 2],
    [21, 3, 3, 0, 2, 2, 10, 0],
    [21, 3, 3, 0, 3, 2, 10],
    [21, 3, 3, 1, 2, 2, 10],
  ])
    assert.equal(plainAlert(Uint8Array.from(other)), undefined)
})

test('spacedHex puts a space between bytes', () => {
  assert.equal(spacedHex(Uint8Array.of(21, 3, 255)), '15 03 ff')
  assert.equal(spacedHex(new Uint8Array()), '')
})

test('shellQuote quotes what a shell would read otherwise', () => {
  assert.equal(shellQuote('/tmp/a-b_c/d.pem'), '/tmp/a-b_c/d.pem')
  assert.equal(shellQuote('/home/a b'), "'/home/a b'")
  assert.equal(shellQuote("it's $HOME"), `'it'\\''s $HOME'`)
  assert.equal(shellQuote(''), "''")
})

test('nearPath is relative inside the directory only', () => {
  assert.equal(nearPath('/a/b/c', '/a'), 'b/c')
  assert.equal(nearPath('/a/b/c', '/a/x'), '/a/b/c')
})

test('controllerYaml and sidecarYaml are configurations, whatever the directory is called', () => {
  const odd = `/tmp/it's "odd": #1/x`
  const controller = parseYaml(controllerYaml({ stateDir: odd, policyPath: odd }), {
    file: 'controller.yaml',
    schema: controllerConfigSchema,
  })
  assert.deepEqual([controller.stateDir, controller.policyPath, controller.svidTtlMs], [odd, odd, 20_000])
  const shared = { controllerAddress: '127.0.0.1:1', trustBundleFile: odd, joinTokenFile: odd }
  const parse = (text: string): ReturnType<typeof proxyConfigSchema.parse> =>
    parseYaml(text, { file: 'proxy.yaml', schema: proxyConfigSchema })
  const catalog = parse(sidecarYaml('catalog', { ...shared, app: '127.0.0.1:2' }))
  assert.deepEqual([catalog.inbound.length, catalog.outbound.length], [1, 0])
  assert.equal(catalog.controller.joinTokenFile, odd)
  const web = parse(sidecarYaml('web', { ...shared, catalog: '127.0.0.1:3' }))
  assert.deepEqual([web.inbound.length, web.outbound[0]?.peer], [0, idOf('catalog')])
})

test('policyYaml is the one policy that decisions name', () => {
  const { authorizationPolicies } = parsePolicies([{ name: 'shop.yaml', text: policyYaml() }])
  const [policy, ...more] = authorizationPolicies
  assert.equal(policyName(policy!), POLICY_NAME)
  assert.deepEqual(more, [])
})

test('stepHead and stepOutcome fit their width and tell what was expected where something failed', () => {
  const head = stepHead({ number: 3, title: 'a title', did: 'word '.repeat(40).trim() }, LOOK)
  assert.match(head, /^ 3 {2}a title\n\n {4}done {15}word/)
  for (const line of head.split('\n')) assert.ok(line.length <= 80)

  const evidence = new Evidence()
  evidence.saw('client got', 'nothing')
  evidence.expect(true, 'never shown', 'never shown')
  const held = stepOutcome({ number: 3, proves: 'the point', evidence }, LOOK)
  assert.match(held, /client got +nothing\n +so +the point\n {2}✔ step 3 held\n/)

  evidence.expect(false, 'an alert', 'silence\n  ')
  evidence.exhibit = 'as it is\n\n  and more\n'
  const failed = stepOutcome({ number: 3, proves: 'the point', evidence }, LOOK)
  assert.match(failed, /\n\nas it is\n\n {2}and more\n\n/)
  assert.match(failed, / expected +an alert\n +got +silence\n {2}✘ step 3 did not hold\n/)
  assert.doesNotMatch(failed, /the point|never shown/)
})

test('closing names the steps that did not hold', () => {
  assert.equal(closing({ total: 7, failed: [], elapsedMs: 1_550 }, LOOK), '✔ All 7 steps held, in 1.6 s.\n')
  assert.match(closing({ total: 7, failed: [2, 5], elapsedMs: 1 }, LOOK), /^✘ Of 7 steps .* steps 2, 5;/)
})

test('parseLine takes log lines and nothing else', () => {
  assert.deepEqual(parseLine('{"message":"ready","address":"x"}'), { message: 'ready', address: 'x' })
  for (const other of ['', 'ready', '{"message":1}', '[]', 'null', '{'])
    assert.equal(parseLine(other), undefined)
})

test('lastWords leaves out traffic and cuts what is long', () => {
  const log = ['1', '2', '3', '{"message":"access"}', '4', '5', 'x'.repeat(1_000), ''].join('\n')
  assert.deepEqual(lastWords(log), ['2', '3', '4', '5', `${'x'.repeat(300)}…`])
})

test('policyNews tells of policies only', () => {
  assert.deepEqual(policyNews({ message: 'Policies changed', policyRevision: 'abc' }), {
    kind: 'changed',
    revision: 'abc',
  })
  const refused = { message: 'Policies refused; those in force stay', error: { message: 'line 3' } }
  assert.deepEqual(policyNews(refused), { kind: 'refused', reason: 'line 3' })
  assert.equal(policyNews({ message: 'ready' }), undefined)
})

test('logName makes a file name of what people say', () => {
  assert.equal(logName("catalog's sidecar"), 'catalog-sidecar')
})

test('missText, failureText, newRequestsText and serialText say it in a line', () => {
  const miss = { policy: 'a/b', field: 'rules[0].to[0].methods', wanted: ['GET', 'HEAD'] }
  assert.equal(missText({ ...miss, got: 'PUT' }), 'a/b rules[0].to[0].methods: wants GET, HEAD, got PUT')
  assert.match(missText(miss), /got nothing$/)
  assert.equal(failureText({ outcome: 'established', settled: {}, stages: [] }), 'established')
  const before = { count: 1, last: [] }
  assert.equal(newRequestsText(before, before), 'saw no request; still 1 in all')
  const after = { count: 3, last: [{ method: 'GET', path: '/x' }] }
  assert.equal(newRequestsText(before, after), 'saw 2 more, the last GET /x')
  assert.equal(serialText('0123456789abcdef'), '0123456789ab…')
  assert.equal(serialText('01'), '01')
})
