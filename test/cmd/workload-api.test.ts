import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'node:test'
import { loadSockets } from '../../src/native/sockets.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { decodePem } from '../../src/pki/pem.ts'
import { Cli, runCli } from './cli.ts'
import { DOMAIN, line, type Mesh, startMesh } from './mesh.ts'

const found = loadSockets()
const skip = found.kind === 'missing' ? found.reason : false

const LISTENER = '  inbound: [{ name: in, listen: 127.0.0.1:0, forward: 127.0.0.1:8080, protocol: tcp }]'

function withApi(socket: string, rules = ''): string {
  return `${LISTENER}\n  workloadApi: { socket: ${socket}${rules} }`
}

function socketOf({ directory }: Mesh): string {
  return join(directory, 'api', 'socket')
}

test(
  'handfast svid fetch gets an identity with a key of its own from a proxy, and writes it for its owner alone',
  { skip },
  async (t) => {
    const mesh = await startMesh(t)
    const socket = socketOf(mesh)
    const web = await mesh.sidecar('web', withApi(socket))
    const ready = await line(web, 'ready')
    assert.equal((await stat(socket)).mode & 0o777, 0o600)
    assert.equal((await stat(join(mesh.directory, 'api'))).mode & 0o777, 0o700)

    const output = join(mesh.directory, 'out')
    const env = { SPIFFE_ENDPOINT_SOCKET: `unix://${socket}` }
    const fetched = await runCli(t, ['svid', 'fetch', '--output-dir', output], { env })
    assert.equal(fetched.code, 0, fetched.stderr)
    assert.match(fetched.stdout, new RegExp(`^SPIFFE ID +spiffe://${DOMAIN}/ns/shop/sa/web$`, 'm'))
    assert.match(fetched.stdout, /^valid +until .* left$/m)
    assert.deepEqual((await readdir(output)).sort(), ['bundle.pem', 'svid-key.pem', 'svid.pem'])
    for (const name of await readdir(output))
      assert.equal((await stat(join(output, name))).mode & 0o777, 0o600, name)

    const [leaf] = decodePem(await readFile(join(output, 'svid.pem'), 'utf8'), 'CERTIFICATE').map(
      parseCertificate,
    )
    const own = await line(web, 'Certificate issued')
    assert.equal(own['holder'], 'proxy')
    assert.notEqual(leaf!.serialNumber, own['serialNumber'])
    assert.equal(ready['spiffeId'], leaf!.subjectAltNames.uris[0])
    assert.equal(
      await readFile(join(output, 'bundle.pem'), 'utf8'),
      await readFile(join(mesh.directory, 'state', 'trust-bundle.pem'), 'utf8'),
    )

    const again = await runCli(t, ['svid', 'fetch', '--socket', socket, '--json'])
    const { svids } = JSON.parse(again.stdout) as { svids: [{ chain: [{ serialNumber: string }] }] }
    assert.equal(svids[0].chain[0].serialNumber, leaf!.serialNumber)
    assert.doesNotMatch(again.stdout + fetched.stdout + web.stdout, /PRIVATE KEY/)
  },
)

test(
  'handfast svid jwt gets a token, on the record, that another workload finds good by handfast svid validate',
  { skip },
  async (t) => {
    const mesh = await startMesh(t)
    const [one, other] = ['one', 'other'].map((name) => join(mesh.directory, name, 'socket'))
    await line(await mesh.sidecar('web', withApi(one!)), 'ready')
    await line(await mesh.sidecar('catalog', withApi(other!)), 'ready')
    const fetched = await runCli(t, ['svid', 'jwt', '--socket', one!, '--audience', 'catalog,cart'])
    assert.equal(fetched.code, 0, fetched.stderr)
    const validate = (audience: string, input = fetched.stdout) =>
      runCli(t, ['svid', 'validate', '--socket', other!, '--audience', audience], { input })
    assert.deepEqual(await validate('cart'), {
      code: 0,
      stdout: `spiffe://${DOMAIN}/ns/shop/sa/web\n`,
      stderr: '',
    })
    const refused = await validate('bank')
    assert.equal(refused.code, 1)
    assert.match(
      refused.stderr,
      /The token is for \["catalog","cart"\], and not for "bank" \(TOKEN_AUDIENCE\)/,
    )
    const journal = ['--journal', join(mesh.directory, 'state')]
    const found = await runCli(t, ['ca', 'journal', 'find', ...journal, '--outcome', 'issued-jwt'])
    assert.match(
      found.stdout,
      /issued-jwt {2}spiffe:\/\/example\.org\/ns\/shop\/sa\/web .*audience=\["catalog","cart"\]/,
    )
    assert.equal((await stat(join(mesh.directory, 'state', 'ca', 'jwt-keys.json'))).mode & 0o777, 0o600)
  },
)

test('handfast svid fetch --watch follows renewals until it is stopped', { skip }, async (t) => {
  const mesh = await startMesh(t, undefined, { spec: '  svidTtl: 10s' })
  const socket = socketOf(mesh)
  await line(await mesh.sidecar('web', withApi(socket)), 'ready')
  const watch = new Cli(t, ['svid', 'fetch', '--socket', socket, '--watch', '--json'])
  const [, first, second] = await watch.saw(/"serialNumber":"(\w+)".*\n.*?"serialNumber":"(\w+)"/, 'stdout')
  assert.notEqual(first, second)
  watch.child.kill('SIGTERM')
  assert.equal((await watch.ended()).code, 0)
})

test(
  'the Workload API hands out nothing while the identity is revoked, and tells those who follow it',
  { skip },
  async (t) => {
    const mesh = await startMesh(t)
    const socket = socketOf(mesh)
    await line(await mesh.sidecar('web', withApi(socket)), 'ready')
    const watch = new Cli(t, ['svid', 'fetch', '--socket', socket, '--watch'])
    await watch.saw(/^SPIFFE ID /m, 'stdout')
    const place = ['--state-dir', join(mesh.directory, 'state')]
    const id = `spiffe://${DOMAIN}/ns/shop/sa/web`
    const revoked = await runCli(t, ['ca', 'revoke', '--spiffe-id', id, ...place])
    assert.equal(revoked.code, 0, revoked.stderr)
    const { code, stderr } = await watch.ended()
    assert.equal(code, 1)
    assert.match(stderr, /There is no valid identity at present \(UNAVAILABLE\)/)
    const token = await runCli(t, ['svid', 'jwt', '--socket', socket, '--audience', 'catalog'])
    assert.equal(token.code, 1)
  },
)

test('handfast proxy serves nobody but the users and groups that are permitted', { skip }, async (t) => {
  const mesh = await startMesh(t)
  const socket = socketOf(mesh)
  const others = `, uids: [${process.geteuid!() + 1}], gids: [${process.getegid!() + 1}]`
  const web = await mesh.sidecar('web', withApi(socket, others))
  await line(web, 'ready')
  // Others have to be able to connect; who they are is asked then.
  assert.equal((await stat(socket)).mode & 0o777, 0o666)
  const refused = await runCli(t, ['svid', 'fetch', '--socket', socket])
  assert.equal(refused.code, 1)
  assert.match(
    refused.stderr,
    /CONTROL_WORKLOAD_API: .*No identity is meant for this process \(PERMISSION_DENIED\)/,
  )
  const told = await line(web, 'A process is not permitted to use the Workload API')
  assert.equal(told['uid'], process.geteuid!())

  // However many of them there are, and whatever they do not say: each is let go of.
  const strangers = Array.from({ length: 64 }, () => connect(socket))
  t.after(() => strangers.forEach((stranger) => stranger.destroy()))
  await Promise.all(strangers.map((stranger) => once(stranger.resume(), 'close')))

  const byGroup = join(mesh.directory, 'by-group', 'socket')
  await line(await mesh.sidecar('catalog', withApi(byGroup, `, gids: [${process.getegid!()}]`)), 'ready')
  assert.equal((await runCli(t, ['svid', 'fetch', '--socket', byGroup])).code, 0)
})

test(
  'handfast proxy refuses a place for the socket that others could take, and replaces what a crash has left',
  { skip },
  async (t) => {
    const mesh = await startMesh(t)
    const refusal = async (socket: string): Promise<string> => {
      const { code, stderr } = await (await mesh.sidecar('web', withApi(socket))).ended()
      assert.equal(code, 2)
      return stderr
    }
    const open = join(mesh.directory, 'open')
    await mkdir(open)
    await chmod(open, 0o777)
    assert.match(
      await refusal(join(open, 'socket')),
      /CONFIG_INSECURE_PERMISSIONS: .*spec\.workloadApi\.socket/,
    )
    await writeFile(join(mesh.directory, 'file'), 'precious')
    assert.match(await refusal(join(mesh.directory, 'file')), /CONFIG_INVALID: .*which is no socket/)
    const taken = join(mesh.directory, 'taken')
    const server = createServer().listen(taken)
    t.after(() => server.close())
    assert.match(await refusal(taken), /CONFIG_PORT_IN_USE/)
    assert.match(await refusal('relative'), /CONFIG_INVALID: .*absolute path of a Unix socket/)

    const socket = socketOf(mesh)
    const crashed = await mesh.sidecar('web', withApi(socket))
    await line(crashed, 'ready')
    crashed.child.kill('SIGKILL')
    await crashed.ended()
    assert.ok((await stat(socket)).isSocket())
    await line(await mesh.sidecar('web', withApi(socket)), 'ready')
    assert.equal((await runCli(t, ['svid', 'fetch', '--socket', socket])).code, 0)
  },
)

test('handfast svid fetch says where it looked, and what is missing', async (t) => {
  const away = await runCli(t, ['svid', 'fetch', '--socket', '/nowhere/socket'])
  assert.equal(away.code, 1)
  assert.match(away.stderr, /CONTROL_WORKLOAD_API: The Workload API at \/nowhere\/socket: connect ENOENT/)
  for (const env of [{}, { SPIFFE_ENDPOINT_SOCKET: 'tcp://127.0.0.1:1' }]) {
    const { code, stderr } = await runCli(t, ['svid', 'fetch'], { env })
    assert.equal(code, 2)
    assert.match(stderr, /COMMAND_USAGE/)
  }
})
