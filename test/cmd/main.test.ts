import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { runCli } from './cli.ts'

const PACKAGE = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
  readonly version: string
}

test('handfast --help lists the verbs on standard output', async (t) => {
  const { code, stdout, stderr } = await runCli(t, ['--help'])
  assert.equal(code, 0)
  assert.equal(stderr, '')
  for (const verb of ['tls connect', 'tls serve', 'version'])
    assert.match(stdout, new RegExp(`^  ${verb} +\\S`, 'm'))
  assert.deepEqual(await runCli(t, ['help']), { code, stdout, stderr })
})

test('handfast without a verb shows help on standard error and exits with 2', async (t) => {
  const { code, stdout, stderr } = await runCli(t, [])
  assert.equal(code, 2)
  assert.equal(stdout, '')
  assert.match(stderr, /Usage: handfast VERB/)
})

test('handfast help VERB and VERB --help show the same', async (t) => {
  const asked = await runCli(t, ['help', 'tls', 'connect'])
  assert.equal(asked.code, 0)
  assert.match(asked.stdout, /^Usage: handfast tls connect HOST:PORT/)
  assert.deepEqual(await runCli(t, ['tls', 'connect', 'example.com:443', '--help']), asked)
})

test('handfast tls lists its verbs', async (t) => {
  const bare = await runCli(t, ['tls'])
  assert.equal(bare.code, 2)
  assert.match(bare.stderr, /^ {2}tls serve/m)
  assert.doesNotMatch(bare.stderr, /^ {2}version/m)
  const asked = await runCli(t, ['tls', '--help'])
  assert.deepEqual([asked.code, asked.stdout], [0, bare.stderr])
})

test('handfast names the nearest verb for one that it does not have', async (t) => {
  for (const [args, near] of [
    [['versoin'], 'version'],
    [['tls', 'conect'], 'tls connect'],
    [['help', 'tls', 'sevre'], 'tls serve'],
  ] as const) {
    const { code, stdout, stderr } = await runCli(t, args)
    assert.equal(code, 2)
    assert.equal(stdout, '')
    assert.match(
      stderr,
      new RegExp(`^handfast: COMMAND_USAGE: Expected a verb .*, got ".*"; did you mean ${near}\\?\\n$`),
    )
  }
  const { stderr } = await runCli(t, ['frobnicate'])
  assert.equal(
    stderr,
    'handfast: COMMAND_USAGE: Expected a verb that handfast --help lists, got "frobnicate"\n',
  )
})

test('handfast takes no verb from what objects inherit', async (t) => {
  for (const word of ['constructor', '__proto__', 'toString']) assert.equal((await runCli(t, [word])).code, 2)
})

test('handfast version prints its version and what it runs on', async (t) => {
  const { code, stdout } = await runCli(t, ['version'])
  assert.equal(code, 0)
  assert.ok(stdout.startsWith(`handfast ${PACKAGE.version} (Node.js ${process.versions.node}, OpenSSL `))
  assert.deepEqual(await runCli(t, ['--version']), { code, stdout, stderr: '' })
  const json = await runCli(t, ['version', '--json'])
  assert.deepEqual(JSON.parse(json.stdout), {
    version: PACKAGE.version,
    node: process.versions.node,
    openssl: process.versions.openssl,
    platform: `${process.platform}-${process.arch}`,
  })
})

test('handfast refuses a flag with its name, what was expected and what came', async (t) => {
  for (const [args, message] of [
    [['version', '--jsno'], '--jsno: no such flag; did you mean --json?'],
    [['version', '--json=yes'], '--json: expected no value, got one'],
    [['version', 'now'], 'Unexpected argument "now": expected no argument but flags'],
    [['tls', 'connect'], 'Missing argument: expected HOST:PORT, got nothing'],
    [['tls', 'connect', 'a:1', '--ca'], '--ca: expected a value, got nothing'],
    [
      ['tls', 'connect', 'a:1', '--ca', '--json'],
      '--ca: expected a value, got another flag; write --ca=VALUE for a value that begins with a dash',
    ],
  ] as const) {
    const { code, stderr } = await runCli(t, args)
    assert.equal(code, 2, args.join(' '))
    assert.equal(stderr, `handfast: COMMAND_USAGE: ${message}\n`)
  }
})

test('handfast shows stacks only under HANDFAST_DEBUG=1', async (t) => {
  const args = ['version', '--nope']
  assert.doesNotMatch((await runCli(t, args)).stderr, /^ {4}at /m)
  const { code, stderr } = await runCli(t, args, { env: { HANDFAST_DEBUG: '1' } })
  assert.equal(code, 2)
  assert.match(stderr, /^ {4}at /m)
  assert.match(stderr, /^Caused by: /m)
})
