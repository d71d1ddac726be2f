import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import type { VersionedState } from '../../src/control/mesh-state.ts'
import { deserializePolicies } from '../../src/authz/serialize.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { parseX509Svid } from '../../src/identity/svid.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { anyCsr, clientOf } from '../support/control-plane.ts'
import { WEB } from '../support/memory-ca.ts'
import { bundlesIn, flagsFor, run, startController } from '../support/controller-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const crypto = nativeCrypto()

function policy(name: string): string {
  return `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec:
  action: ALLOW
  rules:
    - from: [{ principals: ['spiffe://example.org/ns/shop/sa/web'] }]
`
}

test('handfast controller issues certificates for tokens, is followed by proxies, and stops cleanly', async (t) => {
  const directory = await temporaryDirectory(t)
  const stateDir = join(directory, 'state')
  const policies = join(directory, 'policies')
  await mkdir(policies)
  await writeFile(join(policies, 'a.yaml'), policy('first'))
  const running = await startController(
    t,
    ...flagsFor(stateDir),
    '--listen',
    '127.0.0.1:0',
    '--policy',
    policies,
  )
  assert.match(running.address, /^127\.0\.0\.1:[1-9]\d*$/)

  const made = run('controller', 'token', 'create', '--spiffe-id', WEB.toString(), ...flagsFor(stateDir))
  assert.equal(made.status, 0, made.stderr)
  const joinToken = made.stdout.trim()
  assert.match(joinToken, /^hfj_[A-Za-z0-9_-]{43}$/)

  const bundles = await bundlesIn(stateDir)
  const key = crypto.generateKey('ec-p256')
  const plane = { address: running.address, bundles }
  const issued = await clientOf(plane).issueSvid({ csr: createCsr(key), joinToken })
  const svid = parseX509Svid(issued.chain, key)
  assert.equal(svid.id.toString(), WEB.toString())

  const states: VersionedState[] = []
  const client = clientOf(plane, { credential: () => svid })
  const subscription = client.subscribe({ node: 'test', apply: (state) => void states.push(state) })
  t.after(() => subscription[Symbol.dispose]())
  const names = (): string[] =>
    deserializePolicies(new TextDecoder().decode(states.at(-1)!.policies)).authorizationPolicies.map(
      ({ metadata }) => metadata.name,
    )
  await running.line('Proxy acknowledged')
  assert.deepEqual(names(), ['first'])

  await writeFile(join(policies, 'b.yaml'), policy('second'))
  await running.line('Policies changed')
  await running.line(
    'Proxy acknowledged',
    running.lines.findIndex(({ message }) => message === 'Policies changed'),
  )
  assert.deepEqual(names(), ['first', 'second'])
  assert.equal(states.at(-1)!.version.number, 2)

  await writeFile(join(policies, 'c.yaml'), policy('third').replace('ALLOW', 'PERHAPS'))
  const refused = await running.line('Policies refused; those in force stay')
  const [problem] = refused['problems'] as { file: string; line: number; field: string }[]
  assert.equal(problem!.file, join(policies, 'c.yaml'))
  assert.equal(problem!.line, 5)
  assert.equal(problem!.field, 'spec.action')
  assert.equal(states.length, 2, 'nothing was sent')

  const before = running.lines.length
  await writeFile(join(policies, 'c.new'), policy('third'))
  await rename(join(policies, 'c.new'), join(policies, 'c.yaml'))
  running.process.kill('SIGHUP')
  await running.line('Policies changed', before)
  await running.line('Proxy acknowledged', before)
  assert.deepEqual(names(), ['first', 'second', 'third'])

  subscription[Symbol.dispose]()
  assert.equal(await running.stop(), 0)
  const everything = JSON.stringify(running.lines)
  assert.ok(!everything.includes(joinToken.slice(4)), 'no token in the log')
  assert.ok(!everything.includes('PRIVATE KEY'), 'no key in the log')
  const journal = await readFile(join(stateDir, 'journal', 'log.jsonl'), 'utf8')
  assert.ok(!journal.includes(joinToken.slice(4)), 'no token in the journal')
  assert.equal(journal.split('\n').filter((line) => line.includes(`"${WEB.toString()}"`)).length, 1)
})

test('handfast controller keeps its secrets to itself and finds its authority again', async (t) => {
  const stateDir = join(await temporaryDirectory(t), 'state')
  const flags = [...flagsFor(stateDir), '--listen', '127.0.0.1:0']
  const first = await startController(t, ...flags)
  const bundle = await readFile(join(stateDir, 'trust-bundle.pem'), 'utf8')
  for (const name of ['ca/root.pem', 'ca/intermediate.pem', 'journal/key.pem', 'journal/log.jsonl'])
    assert.equal((await stat(join(stateDir, name))).mode & 0o777, 0o600, name)
  for (const name of ['ca', 'tokens', 'journal'])
    assert.equal((await stat(join(stateDir, name))).mode & 0o777, 0o700, name)
  first.process.kill('SIGKILL')
  await once(first.process, 'exit')

  const second = await startController(t, ...flags)
  assert.equal(await readFile(join(stateDir, 'trust-bundle.pem'), 'utf8'), bundle)
  const token = run(
    'controller',
    'token',
    'create',
    '--spiffe-id',
    WEB.toString(),
    ...flagsFor(stateDir),
  ).stdout.trim()
  await clientOf({ address: second.address, bundles: await bundlesIn(stateDir) }).issueSvid({
    csr: anyCsr(),
    joinToken: token,
  })
  assert.equal(await second.stop(), 0)
})

test('handfast controller refuses a state directory that another one uses', async (t) => {
  const stateDir = join(await temporaryDirectory(t), 'state')
  await startController(t, ...flagsFor(stateDir), '--listen', '127.0.0.1:0')
  const { status, stderr } = run('controller', ...flagsFor(stateDir), '--listen', '127.0.0.1:0')
  assert.equal(status, 1)
  assert.match(stderr, /CA_STORE_LOCKED: .*in use by another controller/)
})

test('handfast controller exits with 2 when its port is taken', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  t.after(() => taken.close())
  await once(taken, 'listening')
  const listen = `127.0.0.1:${(taken.address() as AddressInfo).port}`
  const stateDir = join(await temporaryDirectory(t), 'state')
  const { status, stderr } = run('controller', ...flagsFor(stateDir), '--listen', listen)
  assert.equal(status, 2)
  assert.match(stderr, new RegExp(`CONFIG_PORT_IN_USE: .*expected a free address, got ${listen}`))
})

test('handfast controller exits with 2 and says what to run when a key is open to others', async (t) => {
  const stateDir = join(await temporaryDirectory(t), 'state')
  const first = await startController(t, ...flagsFor(stateDir), '--listen', '127.0.0.1:0')
  await first.stop()
  const root = join(stateDir, 'ca', 'root.pem')
  await chmod(root, 0o644)
  const { status, stderr } = run('controller', ...flagsFor(stateDir), '--listen', '127.0.0.1:0')
  assert.equal(status, 2)
  assert.ok(stderr.includes('CONFIG_INSECURE_PERMISSIONS'), stderr)
  assert.ok(stderr.includes(`${root}: expected mode 0600, because it holds secrets, got mode 0644`), stderr)
  assert.ok(stderr.includes(`run: chmod 0600 '${root}'`), stderr)
})

test('handfast controller exits with 2 for a configuration that does not hold, with file, line and field', async (t) => {
  const directory = await temporaryDirectory(t)
  const config = join(directory, 'controller.yaml')
  const yaml = (spec: string): string =>
    `apiVersion: handfast.dev/v1alpha1\nkind: ControllerConfig\nspec:\n${spec}`
  await writeFile(config, yaml(`  trustDomain: example.org\n  stateDir: ${directory}/state\n  svidTTL: 1h\n`))
  const unknown = run('controller', '--config', config)
  assert.equal(unknown.status, 2)
  assert.ok(unknown.stderr.includes(`${config}:6:3 spec.svidTTL`), unknown.stderr)
  assert.ok(unknown.stderr.includes('did you mean "svidTtl"?'), unknown.stderr)

  const missing = run('controller', '--config', join(directory, 'nothing.yaml'))
  assert.equal(missing.status, 2)
  assert.match(missing.stderr, /CONFIG_MISSING_FILE/)

  await writeFile(
    config,
    yaml(`  trustDomain: example.org\n  stateDir: ${directory}/state\n  policyPath: ${directory}/none\n`),
  )
  const noPolicies = run('controller', '--config', config)
  assert.equal(noPolicies.status, 2)
  assert.match(noPolicies.stderr, /CONFIG_MISSING_FILE: .*none: expected a policy file/)

  await mkdir(join(directory, 'policies'))
  await writeFile(join(directory, 'policies', 'a.yaml'), policy('a').replace('rules', 'rulez'))
  const badPolicy = run('controller', '--config', config, '--policy', join(directory, 'policies'))
  assert.equal(badPolicy.status, 2)
  assert.match(badPolicy.stderr, /a\.yaml:6:\d+ spec\.rulez/)
  await assert.rejects(stat(join(directory, 'state')), { code: 'ENOENT' }, 'nothing was made')
})

test('handfast controller refuses flags that do not make sense with 2', async (t) => {
  const stateDir = join(await temporaryDirectory(t), 'state')
  for (const [flags, complaint] of [
    [[], '--trust-domain: expected'],
    [['--trust-domain', 'Example.Org', '--state-dir', stateDir], '--trust-domain: expected'],
    [['--trust-domain', 'example.org'], '--state-dir: expected'],
    [[...flagsFor(stateDir), '--listen', 'everywhere'], '--listen: expected IP:PORT'],
    [[...flagsFor(stateDir), '--colour'], '--colour: no such flag'],
  ] as const) {
    const { status, stderr } = run('controller', ...flags)
    assert.equal(status, 2, stderr)
    assert.ok(stderr.includes(complaint), stderr)
  }
})

test('handfast controller token create writes the token to a file of mode 0600 when asked to', async (t) => {
  const directory = await temporaryDirectory(t)
  const output = join(directory, 'web.token')
  const stateDir = join(directory, 'state')
  const flags = ['--spiffe-id', WEB.toString(), '--ttl', '10m', '--output', output, ...flagsFor(stateDir)]
  const { status, stdout, stderr } = run('controller', 'token', 'create', ...flags)
  assert.equal(status, 0, stderr)
  assert.equal(stdout, '')
  assert.equal((await stat(output)).mode & 0o777, 0o600)
  assert.match(await readFile(output, 'utf8'), /^hfj_[A-Za-z0-9_-]{43}\n$/)
  assert.equal((await readdir(join(stateDir, 'tokens'))).length, 1)
  assert.ok(stderr.includes(WEB.toString()))
  assert.ok(!stderr.includes('hfj_'))
})

test('handfast controller token create refuses what makes no token with 2', async (t) => {
  const stateDir = join(await temporaryDirectory(t), 'state')
  const create = ['controller', 'token', 'create', ...flagsFor(stateDir)]
  for (const [args, complaint] of [
    [create, '--spiffe-id: expected'],
    [[...create, '--spiffe-id', 'web'], '--spiffe-id: '],
    [[...create, '--spiffe-id', 'spiffe://example.org'], '--spiffe-id: '],
    [
      [...create, '--spiffe-id', 'spiffe://other.example/web'],
      'expected an ID of the trust domain example.org',
    ],
    [[...create, '--spiffe-id', WEB.toString(), '--ttl', '31d'], '--ttl: expected at most 30d'],
    [[...create, '--spiffe-id', WEB.toString(), '--ttl', 'soon'], '--ttl: expected a duration'],
    [['controller', 'token', 'make', ...flagsFor(stateDir)], 'create'],
  ] as const) {
    const { status, stderr } = run(...args)
    assert.equal(status, 2, stderr)
    assert.ok(stderr.includes(complaint), stderr)
  }
  await assert.rejects(stat(stateDir), { code: 'ENOENT' }, 'nothing was made')
})
