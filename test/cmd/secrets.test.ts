/** No key and no token is ever written to where people look: every line that a mesh of processes writes is searched for them. */
import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { formatAddress } from '../../src/config/address.ts'
import { dial, outcomeOf, tcpApp } from '../support/apps.ts'
import { formsOf, plain } from '../support/secret-forms.ts'
import { type Cli, runCli } from './cli.ts'
import { DOMAIN, line, listenerOf, startMesh } from './mesh.ts'

test('formsOf finds a secret in whatever form it was written down', () => {
  const secret = Buffer.from('000102030405060708090a0b0c0d0e0fffeeddccbbaa99887766554433221100', 'hex')
  const found = (text: string): boolean => formsOf(secret).some((form) => plain(text).includes(form))
  for (let before = 0; before < 5; before++) {
    const around = Buffer.concat([Buffer.alloc(before, 7), secret, Buffer.alloc(4, 9)])
    assert.ok(found(`-----BEGIN\n${around.toString('base64').replaceAll(/.{16}/g, '$&\n')}\n`))
    assert.ok(found(JSON.stringify({ key: around.toString('base64').replaceAll(/.{16}/g, '$&\n') })))
    assert.ok(found(around.toString('base64url')))
    assert.ok(found(around.toString('hex')))
    assert.ok(found(around.toString('hex').toUpperCase().replaceAll(/../g, '$&:')))
    assert.ok(found(JSON.stringify(around)))
  }
  assert.ok(!found(Buffer.from(secret.toReversed()).toString('base64')))
})

/** What a file of keys or tokens holds that must not be told: the secret halves alone, since public ones are everywhere. */
async function secretsIn(path: string): Promise<Uint8Array[]> {
  const text = await readFile(path, 'utf8')
  if (path.endsWith('.token'))
    return [Buffer.from(text.trim().slice(4)), Buffer.from(text.trim().slice(4), 'base64url')]
  if (!text.includes('PRIVATE KEY')) return []
  const { d } = createPrivateKey(text).export({ format: 'jwk' })
  return [Buffer.from(d!, 'base64url')]
}

/** All files below a directory. */
async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

test('controller, proxies and commands write no key and no token, through rotation, revocation and refusals', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('hello'))
  const debug = '  log: { level: debug }'
  const mesh = await startMesh(t, '', { spec: debug })
  const secrets = new Map<string, Uint8Array>()
  /** Before a step deletes them. */
  const gather = async (): Promise<void> => {
    for (const path of await filesIn(mesh.directory))
      for (const secret of await secretsIn(path)) secrets.set(secret.toHex(), secret)
  }
  const written: string[] = []
  const run = async (...args: readonly string[]): Promise<void> => {
    const { stdout, stderr } = await runCli(t, [...args, '--state-dir', join(mesh.directory, 'state')], {
      env: { HANDFAST_DEBUG: '1' },
    })
    written.push(stdout, stderr)
  }

  const catalog = await mesh.sidecar(
    'catalog',
    `${debug}\n  inbound: [{ name: in, listen: 127.0.0.1:0, forward: ${formatAddress(app.address)}, protocol: tcp }]`,
  )
  const gate = listenerOf(await line(catalog, 'ready'), 'in')
  const web = await mesh.sidecar(
    'web',
    `${debug}\n  outbound: [{ name: out, listen: 127.0.0.1:0, connect: ${formatAddress(gate)}, peer: "spiffe://${DOMAIN}/ns/shop/sa/catalog", protocol: tcp }]`,
  )
  const entry = listenerOf(await line(web, 'ready'), 'out')
  assert.equal((await outcomeOf(await dial(t, entry))).text, 'hello')

  const { serialNumber } = await line(web, 'Certificate issued')
  await run('ca', 'rotate', 'prepare', '--json')
  await gather()
  await run('ca', 'rotate', 'status')
  await run('ca', 'revoke', '--serial', String(serialNumber))
  await run('ca', 'revoke', '--spiffe-id', `spiffe://${DOMAIN}/ns/shop/sa/web`)
  await run('ca', 'revoke', 'list', '--json')
  await web.saw(/"message":"No certificate could be had"/, 'stdout')
  await run('ca', 'rotate', 'rollback')
  await run('controller', 'token', 'create', '--spiffe-id', 'nonsense', '--trust-domain', DOMAIN)
  await gather()
  for (const cli of [mesh.cli, catalog, web]) written.push(...(await lastWords(cli)))
  written.push(await readFile(join(mesh.directory, 'state/journal/log.jsonl'), 'utf8'))

  // Root and intermediate, twice, the journal's key, and two tokens in two forms.
  assert.ok(secrets.size >= 9, `${secrets.size} secrets`)
  const text = plain(written.join('\n'))
  assert.ok(text.length > 10_000)
  for (const secret of secrets.values())
    for (const form of formsOf(secret)) assert.ok(!text.includes(form), 'a secret was written down')
  assert.ok(!/BEGIN[A-Z ]*PRIVATE/.test(written.join('\n')))
})

/** All that a process has written, once it has been told to stop and has. */
async function lastWords(cli: Cli): Promise<readonly string[]> {
  cli.child.kill('SIGTERM')
  const { stdout, stderr } = await cli.ended()
  return [stdout, stderr]
}

test('a controller keeps everything that holds a secret from all but its owner', async (t) => {
  const mesh = await startMesh(t)
  const made = await runCli(t, [
    'controller',
    'token',
    'create',
    '--trust-domain',
    DOMAIN,
    '--spiffe-id',
    `spiffe://${DOMAIN}/a`,
    '--state-dir',
    join(mesh.directory, 'state'),
    '--output',
    join(mesh.directory, 'a.token'),
  ])
  assert.equal(made.code, 0, made.stderr)
  let checked = 0
  for (const path of await filesIn(mesh.directory)) {
    if ((await secretsIn(path)).length === 0) continue
    checked++
    assert.equal((await stat(path)).mode & 0o777, 0o600, path)
  }
  assert.equal(checked, 4, 'root, intermediate, journal key, token')
})
