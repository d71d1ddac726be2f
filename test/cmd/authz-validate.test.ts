import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { runCli } from './cli.ts'

const policy = (name: string, rule: string): string => `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec:
  action: ALLOW
  rules:
    - ${rule}
`

const PROXY = `apiVersion: handfast.dev/v1alpha1
kind: ProxyConfig
spec:
  trustDomain: example.org
  controller: { address: "localhost:15012", trustBundleFile: root.pem, joinTokenFile: token }
  inbound:
    - { name: db, listen: 127.0.0.1:5432, forward: 127.0.0.1:5433, protocol: tcp }
`

test('authz validate shows warnings with file and line, and exits with 0', async (t) => {
  const directory = join(await temporaryDirectory(t), 'policy')
  await mkdir(directory)
  await writeFile(join(directory, 'a.yaml'), policy('a', 'to: [{ methods: [GET] }]'))
  await writeFile(join(directory, 'b.yml'), policy('b', '{}'))
  const warning =
    `warning: ${join(directory, 'b.yml')}:7:7 spec.rules[0]: expected a rule that says who may call, or what, ` +
    'got one that allows every peer everything\n'
  const plain = await runCli(t, ['authz', 'validate', directory])
  assert.deepEqual([plain.code, plain.stderr], [0, ''])
  assert.match(plain.stdout, /^warning: .*\n2 resources, revision [0-9a-f]{16}, 1 warning\n$/)
  assert.ok(plain.stdout.startsWith(warning), plain.stdout)

  const proxy = join(directory, '..', 'proxy.yaml')
  await writeFile(proxy, PROXY)
  const withProxy = await runCli(t, ['authz', 'validate', directory, '--proxy', proxy])
  assert.match(
    withProxy.stdout,
    /a\.yaml:7:7 spec\.rules\[0\]: expected a rule that can match on a listener of the proxy/,
  )
  assert.match(withProxy.stdout, /2 warnings\n$/)
})

test('authz validate refuses with 2, and says why for people and for programs', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = join(directory, 'a.yaml')
  await writeFile(file, policy('a', 'to: [{ paths: [/a], notPaths: [/a], metods: [GET] }]'))
  const plain = await runCli(t, ['authz', 'validate', file])
  assert.deepEqual([plain.code, plain.stdout], [2, ''])
  assert.match(
    plain.stderr,
    /^handfast: CONFIG_INVALID: .*a\.yaml:7:43 spec\.rules\[0\]\.to\[0\]\.metods: .*did you mean "methods"/,
  )

  await writeFile(file, policy('a', 'to: [{ paths: [/a], notPaths: [/a] }]'))
  const json = await runCli(t, ['authz', 'validate', file, '--json'])
  assert.equal(json.code, 2)
  assert.deepEqual(JSON.parse(json.stdout), {
    errors: [
      {
        file,
        line: 7,
        column: 38,
        field: 'spec.rules[0].to[0].notPaths[0]',
        expected: 'a value that paths does not want',
        got: '"/a"',
      },
    ],
    warnings: [],
  })
  const missing = await runCli(t, ['authz', 'validate', join(directory, 'none')])
  assert.equal(missing.code, 2)
  assert.match(missing.stderr, /CONFIG_MISSING_FILE/)
})

test('authz validate tells programs the revision that a controller would give', async (t) => {
  const file = join(await temporaryDirectory(t), 'a.yaml')
  await writeFile(file, policy('a', 'to: [{ methods: [GET] }]'))
  const { stdout, code } = await runCli(t, ['authz', 'validate', file, '--json'])
  assert.equal(code, 0)
  const { revision, ...rest } = JSON.parse(stdout) as { readonly revision: string }
  assert.match(revision, /^[0-9a-f]{16}$/)
  assert.deepEqual(rest, { resources: 1, errors: [], warnings: [] })
})
