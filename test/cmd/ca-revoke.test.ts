/** Revocation by the shipped command line: a controller and two sidecars as processes, and an operator. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { formatAddress } from '../../src/config/address.ts'
import { dial, outcomeOf, tcpApp } from '../support/apps.ts'
import { Cli, type CliResult, runCli } from './cli.ts'
import { DOMAIN, line, lines, listenerOf, type Mesh, startMesh } from './mesh.ts'

const WEB = `spiffe://${DOMAIN}/ns/shop/sa/web`

/** web → catalog, whose application sends back what it gets. */
async function echoMesh(t: TestContext) {
  const app = await tcpApp(t, (socket) => socket.pipe(socket))
  const mesh = await startMesh(t, '')
  const catalog = await mesh.sidecar(
    'catalog',
    `  inbound: [{ name: in, listen: 127.0.0.1:0, forward: ${formatAddress(app.address)}, protocol: tcp }]`,
  )
  const gate = listenerOf(await line(catalog, 'ready'), 'in')
  const web = await mesh.sidecar(
    'web',
    `  outbound: [{ name: out, listen: 127.0.0.1:0, connect: ${formatAddress(gate)}, peer: "spiffe://${DOMAIN}/ns/shop/sa/catalog", protocol: tcp }]`,
  )
  return { mesh, catalog, web, entry: listenerOf(await line(web, 'ready'), 'out') }
}

/** A connection that has carried bytes both ways, and what becomes of it. */
async function connection(t: TestContext, entry: Parameters<typeof dial>[1]) {
  // The reset may come before the connection counts as made.
  const socket = await dial(t, entry).catch(() => undefined)
  if (socket === undefined)
    return { works: false, outcome: Promise.resolve({ text: '', error: 'ECONNRESET' }) }
  const back = Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)])
  socket.write('ping')
  const works = await back.catch(() => false)
  return { works, outcome: outcomeOf(socket) }
}

function ca({ directory }: Mesh, ...args: readonly string[]): readonly string[] {
  return ['ca', ...args, '--state-dir', join(directory, 'state')]
}

async function ran(t: TestContext, args: readonly string[]): Promise<CliResult> {
  const result = await runCli(t, args)
  assert.equal(result.code, 0, result.stderr)
  return result
}

/** The codes of refusals in the journal. */
async function refusals(t: TestContext, { directory }: Mesh): Promise<string[]> {
  const found = [
    'ca',
    'journal',
    'find',
    '--journal',
    join(directory, 'state'),
    '--outcome',
    'refused',
    '--json',
  ]
  const { stdout } = await ran(t, found)
  const entries = stdout.split('\n').filter((text) => text !== '')
  return entries.map((text) => (JSON.parse(text) as { readonly code: string }).code)
}

/** Waits until `holds`, which something under way will bring about. */
async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const endMs = Date.now() + 30_000; !(await holds()); await sleep(50))
    if (Date.now() > endMs) assert.fail(`It did not come to pass: ${what}`)
}

test('handfast ca revoke cuts a live identity, keeps it out across a kill -9 of the controller, and lets it back in', async (t) => {
  const { mesh, catalog, entry } = await echoMesh(t)
  const live = await connection(t, entry)
  assert.ok(live.works)
  const revoked = await ran(t, ca(mesh, 'revoke', '--spiffe-id', WEB, '--reason', 'it was broken into'))
  assert.equal((await live.outcome).error, 'ECONNRESET')
  assert.match(revoked.stdout, /^Revoked the identity spiffe:\/\/example\.org\/ns\/shop\/sa\/web\n/)
  assert.match(revoked.stdout, /In force at 1 of 1 connected proxies after \d+ ms/)
  await until(
    () => lines(catalog, 'access').some((entry_) => Object(entry_['error']).code === 'PROXY_PEER_REVOKED'),
    'the line of the cut connection',
  )
  assert.equal((await connection(t, entry)).works, false)
  const failed = await line(catalog, 'Handshake failed')
  assert.match(String(Object(failed['error']).message), /is revoked: the identity/)

  const { stdout: list } = await ran(t, ca(mesh, 'revoke', 'list', '--json'))
  const { subject, reason, ends } = JSON.parse(list) as Record<string, unknown>
  assert.deepEqual(
    [subject, reason, ends],
    [{ kind: 'identity', spiffeId: WEB }, 'it was broken into', undefined],
  )
  const again = await ran(t, ca(mesh, 'revoke', '--spiffe-id', WEB))
  assert.match(again.stdout, /^Already revoked: /)
  // Its stream was ended, it asked for another certificate by the one it has and by its token, and got none.
  await until(
    async () => (await refusals(t, mesh)).filter((code) => code === 'CA_REVOKED').length >= 2,
    'refusals',
  )

  mesh.cli.child.kill('SIGKILL')
  await once(mesh.cli.child, 'exit')
  const controller = new Cli(t, [
    'controller',
    '--config',
    join(mesh.directory, 'controller.yaml'),
    '--listen',
    mesh.controller,
  ])
  await line(controller, 'ready')
  assert.match((await ran(t, ca(mesh, 'revoke', 'list'))).stdout, /it was broken into/)
  assert.equal((await connection(t, entry)).works, false)

  await until(async () => {
    const { stdout } = await ran(t, ca(mesh, 'unrevoke', '--spiffe-id', WEB))
    assert.match(stdout, /^No longer revoked: the identity/)
    return true
  }, 'the end of the revocation')
  await until(async () => (await connection(t, entry)).works, 'a connection of the identity that is back')
  const { stdout: journal } = await ran(t, [
    'ca',
    'journal',
    'find',
    '--journal',
    join(mesh.directory, 'state'),
    '--spiffe-id',
    WEB,
    '--outcome',
    'unrevoked',
  ])
  assert.match(journal, /unrevoked {2}spiffe/)
})

test('handfast ca revoke --serial cuts one certificate, and its workload gets another with its token', async (t) => {
  const { mesh, web, entry } = await echoMesh(t)
  const live = await connection(t, entry)
  const { serialNumber } = await line(web, 'Certificate issued')
  const { stdout } = await ran(t, ca(mesh, 'revoke', '--serial', String(serialNumber), '--json'))
  assert.equal((await live.outcome).error, 'ECONNRESET')
  const { revocation, changed } = JSON.parse(stdout) as {
    readonly revocation: Record<string, unknown>
    readonly changed: boolean
  }
  assert.ok(changed)
  const lifeMs = Date.parse(String(revocation['ends'])) - Date.parse(String(revocation['revoked']))
  assert.equal(lifeMs, 3605 * 1000, 'no certificate of now lives longer, whichever replica signs it')
  await until(async () => (await connection(t, entry)).works, 'a connection with the new certificate')
  assert.notEqual(lines(web, 'Certificate issued').at(-1)!['serialNumber'], serialNumber)
  assert.equal(lines(web, 'Our certificate has been revoked; another is asked for').length, 1)
  assert.deepEqual([...new Set(await refusals(t, mesh))], ['CA_REVOKED'])
  const lifted = await runCli(t, ca(mesh, 'unrevoke', '--serial', String(serialNumber)))
  assert.equal(lifted.code, 1)
  assert.match(lifted.stderr, /CA_REVOCATION_UNSOUND/)
})

test('handfast ca revoke refuses what would cut off the mesh itself, and what names nothing or too much', async (t) => {
  const mesh = await startMesh(t)
  const intermediate = join(mesh.directory, 'intermediate.pem')
  await writeFile(
    intermediate,
    (await readFile(join(mesh.directory, 'state/ca/intermediate.pem'), 'utf8')).replace(
      /-----BEGIN PRIVATE[^]*/,
      '',
    ),
  )
  for (const what of [
    ['--issuer', intermediate],
    ['--issuer', join(mesh.directory, 'state/trust-bundle.pem')],
    ['--spiffe-id', `spiffe://${DOMAIN}/ns/handfast-system/sa/controller`],
    ['--spiffe-id', `spiffe://${DOMAIN}`],
  ]) {
    const { code, stderr } = await runCli(t, ca(mesh, 'revoke', ...what))
    assert.equal(code, 1)
    assert.match(stderr, /CA_REVOCATION_UNSOUND/, what.join(' '))
  }
  for (const what of [
    [],
    ['--serial', '7f', '--spiffe-id', WEB],
    ['--serial', 'seven'],
    ['--spiffe-id', 'web'],
    ['--issuer', 'nowhere.pem'],
  ]) {
    const { code, stderr } = await runCli(t, ca(mesh, 'revoke', ...what))
    assert.equal(code, 2, what.join(' '))
    assert.match(stderr, /[Ee]xpected|spiffe-id/)
  }
  const { stderr } = await ran(t, ca(mesh, 'revoke', 'list'))
  assert.match(stderr, /^0 revocations/)
  const gone = await ran(t, ca(mesh, 'revoke', '--issuer', 'AB:'.repeat(31) + 'AB'))
  assert.match(gone.stdout, /until {5}it is taken back/)
})
