import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { parseAddress } from '../../src/config/address.ts'
import { httpApp } from '../support/apps.ts'
import { mintTrustDomain, pemOf } from '../support/certificates.ts'
import { fetchFrom } from '../support/proxy-world.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Cli, runCli } from './cli.ts'
import { configOf, DOMAIN, line, type Line, lines, listenerOf, startMesh } from './mesh.ts'

test('handfast proxy carries what policy allows between two sidecars with certificates of the controller, and follows policy', async (t) => {
  const app = await httpApp(t, (incoming, response) => {
    response.end(String(incoming.headers['x-forwarded-client-cert']))
  })
  const mesh = await startMesh(t)
  const catalog = await mesh.sidecar(
    'catalog',
    `  inbound: [{ name: catalog, listen: 127.0.0.1:0, forward: 127.0.0.1:${app.address.port}, protocol: http }]`,
  )
  const catalogReady = await line(catalog, 'ready')
  const gate = listenerOf(catalogReady, 'catalog')
  const web = await mesh.sidecar(
    'web',
    `  outbound:
    - { name: out, listen: 127.0.0.1:0, connect: 127.0.0.1:${gate.port}, peer: "spiffe://${DOMAIN}/ns/shop/sa/catalog", protocol: http }`,
  )
  const entry = listenerOf(await line(web, 'ready'), 'out')

  const allowed = await fetchFrom(entry, { path: '/items/1' })
  assert.equal(allowed.status, 200)
  assert.equal(allowed.text, `By=spiffe://${DOMAIN}/ns/shop/sa/catalog;URI=spiffe://${DOMAIN}/ns/shop/sa/web`)
  const denied = await fetchFrom(entry, { path: '/admin' })
  assert.equal(denied.status, 403)

  const admin = parseAddress(String(catalogReady['admin']))!
  assert.equal((await fetchFrom(admin, { path: '/ready' })).status, 200)
  const id = String(denied.headers['x-handfast-decision'])
  const decision = JSON.parse((await fetchFrom(admin, { path: `/decisions?id=${id}` })).text) as Line
  assert.equal(decision['kind'], 'denial')
  assert.equal((decision['request'] as Line)['path'], '/admin')

  await mesh.writePolicy('someone-else')
  let status = 200
  for (let waited = 0; status === 200 && waited < 400; waited++) {
    await delay(20)
    status = (await fetchFrom(entry, { path: '/items/1' })).status
  }
  assert.equal(status, 403)

  for (const sidecar of [web, catalog]) {
    sidecar.child.kill('SIGTERM')
    const { code, stderr } = await sidecar.ended()
    assert.deepEqual([code, stderr], [0, ''])
    const [drained] = lines(sidecar, 'Drained')
    assert.equal(drained!['cut'], 0)
    assert.ok(Number(drained!['durationMs']) < 1_500, 'idle connections held the drain up')
  }
  const [first] = lines(catalog, 'access')
  assert.equal(first!['peer'], `spiffe://${DOMAIN}/ns/shop/sa/web`)
  assert.equal(first!['verdict'], 'permit')
})

test('handfast proxy listens but lets nothing through while there is no controller', async (t) => {
  const directory = await temporaryDirectory(t)
  const app = await httpApp(t, (_incoming, response) => response.end('secret'))
  const file = await lonely(
    directory,
    `  outbound: [{ name: out, listen: 127.0.0.1:0, connect: 127.0.0.1:${app.address.port}, peer: "spiffe://${DOMAIN}/ns/shop/sa/x", protocol: http }]`,
  )
  const cli = new Cli(t, ['proxy', '--config', file])
  const listening = await line(cli, 'listening')
  const admin = parseAddress(String(listening['admin']))!
  assert.equal((await fetchFrom(admin, { path: '/ready' })).status, 503)
  assert.equal((await fetchFrom(admin, { path: '/healthz' })).status, 200)
  assert.equal((await fetchFrom(listenerOf(listening, 'out'), {})).status, 503)
  assert.equal(app.connections(), 0)
  await line(cli, 'No certificate could be had')
  cli.child.kill('SIGTERM')
  assert.equal((await cli.ended()).code, 0)
})

/** A configuration whose controller is not there. */
async function lonely(directory: string, listeners: string): Promise<string> {
  const domain = await mintTrustDomain(DOMAIN)
  const [file, bundle, token] = ['proxy.yaml', 'bundle.pem', 'token'].map((name) => join(directory, name))
  await writeFile(bundle!, pemOf(domain.root).cert)
  await writeFile(token!, 'a-token\n', { mode: 0o600 })
  await writeFile(
    file!,
    configOf({ controllers: ['127.0.0.1:1'], bundle: bundle!, token: token!, listeners }),
  )
  return file!
}

const INBOUND = '  inbound: [{ name: in, listen: 127.0.0.1:0, forward: 127.0.0.1:8080, protocol: tcp }]'

test('handfast proxy refuses bad configuration with file, line and field, exits with 2 and starts nothing', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = await lonely(directory, INBOUND.replace('protocol: tcp', 'protocl: tcp'))
  const { code, stdout, stderr } = await runCli(t, ['proxy', '--config', file])
  assert.equal(code, 2)
  assert.equal(stdout, '')
  assert.match(stderr, /proxy\.yaml:\d+:\d+ spec\.inbound\[0\]\.protocl: .*did you mean "protocol"/)
})

test('handfast proxy refuses files that are missing, open to others or not what they should be', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = await lonely(directory, INBOUND)
  const refusal = async (): Promise<string> => {
    const { code, stdout, stderr } = await runCli(t, ['proxy', '--config', file])
    assert.deepEqual([code, stdout], [2, ''])
    return stderr
  }
  await chmod(join(directory, 'token'), 0o644)
  assert.match(await refusal(), /CONFIG_INSECURE_PERMISSIONS: .*token spec\.controller\.joinTokenFile/)
  await writeFile(join(directory, 'token'), '')
  await chmod(join(directory, 'token'), 0o600)
  assert.match(await refusal(), /expected a token, got something else: the file is empty/)
  await writeFile(join(directory, 'bundle.pem'), 'no certificate')
  assert.match(await refusal(), /bundle\.pem spec\.controller\.trustBundleFile: expected certificates/)
  assert.equal((await runCli(t, ['proxy'])).code, 2)
  assert.match(
    (await runCli(t, ['proxy', '--config', join(directory, 'none')])).stderr,
    /CONFIG_MISSING_FILE/,
  )
})

test('handfast proxy names the field of an address that another program has, and exits with 2', async (t) => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  t.after(() => taken.close())
  const { port } = taken.address() as { port: number }
  const directory = await temporaryDirectory(t)
  const file = await lonely(directory, INBOUND.replace('127.0.0.1:0', `127.0.0.1:${port}`))
  const { code, stderr } = await runCli(t, ['proxy', '--config', file])
  assert.equal(code, 2)
  assert.match(
    stderr,
    new RegExp(`CONFIG_PORT_IN_USE: .*spec\\.inbound\\[0\\]\\.listen: .*127\\.0\\.0\\.1:${port}`),
  )
})
