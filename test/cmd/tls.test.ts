import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Cli, runCli } from './cli.ts'
import { CATALOG, meshFiles, WEB, type MeshFiles } from './tls-files.ts'

/** A server on a free port, and where it listens. */
async function serve(t: TestContext, args: readonly string[]): Promise<{ server: Cli; address: string }> {
  const server = new Cli(t, ['tls', 'serve', '--listen', '127.0.0.1:0', ...args])
  const [, address] = await server.saw(/Listening on (\S+)\n/)
  return { server, address: address! }
}

function mutual(files: MeshFiles): string[] {
  return [...files.catalog, '--ca', files.ca, '--require-client-cert']
}

interface Explained {
  readonly outcome: string
  readonly settled: Readonly<Record<string, unknown>>
  readonly stages: readonly { readonly status: string }[]
  readonly failure?: {
    readonly code: string
    readonly stage: number
    readonly refusedBy?: string
    readonly remedy: string
  }
}

test('tls connect and tls serve talk over mutual TLS 1.3, and explain the handshake', async (t) => {
  const files = await meshFiles(t)
  const { server, address } = await serve(t, [...mutual(files), '--once', '--explain'])
  const client = await runCli(
    t,
    ['tls', 'connect', address, '--ca', files.ca, ...files.web, '--spiffe-id', CATALOG, '--explain'],
    { input: 'hello\n' },
  )
  assert.equal(client.stdout, 'hello\n')
  assert.equal(client.code, 0)
  assert.match(client.stderr, /^TLS 1\.3 handshake, as the client saw it +✓ established after \d+\.\d ms\n/)
  assert.ok(client.stderr.includes(`✓ the server is ${CATALOG}: name, chain and validity`))
  const { code, stderr } = await server.ended()
  assert.equal(code, 0)
  assert.match(stderr, /^TLS 1\.3 handshake, as the server saw it +✓ established/m)
  assert.ok(stderr.includes(`✓ the client is ${WEB}: name, chain and validity`))
  assert.match(stderr, /closed; bytes echoed: 6\n$/)
})

test('tls connect and tls serve give their explanations as JSON', async (t) => {
  const files = await meshFiles(t)
  const { server, address } = await serve(t, [...mutual(files), '--once', '--json', '--alpn', 'h2,echo/1'])
  const client = await runCli(
    t,
    ['tls', 'connect', address, '--ca', files.ca, ...files.web, '--servername', 'localhost'].concat([
      '--alpn',
      'echo/1',
      '--suites',
      'TLS_CHACHA20_POLY1305_SHA256',
      '--groups',
      'secp256r1',
      '--json',
    ]),
    { input: 'x' },
  )
  assert.equal(client.stdout, 'x')
  const seen = JSON.parse(client.stderr) as Explained
  const expected = {
    version: 'TLS 1.3',
    cipherSuite: 'TLS_CHACHA20_POLY1305_SHA256',
    group: 'secp256r1',
    postQuantum: false,
    resumed: false,
    serverName: 'localhost',
    alpn: 'echo/1',
  }
  const { peer, ...settled } = seen.settled
  assert.equal(seen.outcome, 'established')
  assert.deepEqual(settled, expected)
  assert.equal((peer as { name: string }).name, 'localhost')
  const { stdout } = await server.ended()
  const told = JSON.parse(stdout) as Explained
  assert.deepEqual({ ...told.settled, peer: undefined }, { ...expected, peer: undefined })
  assert.equal((told.settled['peer'] as { name: string }).name, WEB)
})

test('tls connect carries megabytes both ways, unchanged', async (t) => {
  const files = await meshFiles(t)
  const { address } = await serve(t, files.catalog)
  const input = randomBytes(2_000_000).toString('base64')
  const { code, stdout } = await runCli(t, ['tls', 'connect', address, '--ca', files.ca], { input })
  assert.equal(code, 0)
  assert.ok(stdout === input, `${stdout.length} characters came back of ${input.length}`)
})

test('tls connect appends session secrets to a key log that only its owner can read', async (t) => {
  const files = await meshFiles(t)
  const { address } = await serve(t, files.catalog)
  const keylog = join(files.directory, 'keys.log')
  for (const lines of [5, 10]) {
    const { code, stderr } = await runCli(t, [
      'tls',
      'connect',
      address,
      '--ca',
      files.ca,
      '--keylog',
      keylog,
    ])
    assert.equal(code, 0)
    assert.match(stderr, /^handfast: Warning: session secrets go to .*keys\.log/)
    const text = await readFile(keylog, 'utf8')
    assert.equal(text.match(/^[A-Z_0-9]+ [0-9a-f]{64} [0-9a-f]{64,96}$/gm)?.length, lines)
  }
  assert.equal((await stat(keylog)).mode & 0o777, 0o600)
})

test('tls serve picks the certificate by the name that the client asks for', async (t) => {
  const files = await meshFiles(t)
  const other = await files.issue('other', 'spiffe://shop.example/ns/shop/sa/other', {
    dnsNames: ['*.other.example'],
  })
  const { address } = await serve(t, [...files.catalog, ...other])
  const ask = async (name: string): Promise<Explained & { readonly code: number | null }> => {
    const args = ['tls', 'connect', address, '--ca', files.ca, '--servername', name, '--json']
    const { code, stderr } = await runCli(t, args)
    return { ...(JSON.parse(stderr) as Explained), code }
  }
  assert.equal((await ask('a.other.example')).code, 0)
  assert.equal((await ask('localhost')).code, 0)
  const unknown = await ask('nobody.example')
  assert.equal(unknown.code, 1)
  assert.equal(unknown.failure?.code, 'TLS_PEER_ALERT')
  assert.match(unknown.failure.remedy, /server name/)
})

test('tls connect refuses what its server cannot prove, by name and with a remedy', async (t) => {
  const files = await meshFiles(t)
  const hour = 3_600_000
  const expired = await files.issue('expired', CATALOG, {
    nowMs: Date.now() - 3 * hour,
    dnsNames: ['localhost'],
  })
  const early = await files.issue('early', CATALOG, { nowMs: Date.now() + 3 * hour, dnsNames: ['localhost'] })
  const good = ['--ca', files.ca, '--servername', 'localhost']
  const cases = [
    [expired, good, 'PKI_EXPIRED'],
    [early, good, 'PKI_NOT_YET_VALID'],
    [files.catalog, ['--ca', files.otherCa], 'PKI_UNKNOWN_ISSUER'],
    [files.catalog, ['--ca', files.ca, '--servername', 'elsewhere.example'], 'PKI_NAME_MISMATCH'],
    [files.catalog, ['--ca', files.ca, '--spiffe-id', WEB], 'IDENTITY_MISMATCH'],
    [
      files.catalog,
      ['--ca', files.ca, '--spiffe-id', 'spiffe://shop.example/ns/shop/sa/Catalog'],
      'IDENTITY_MISMATCH',
    ],
  ] as const
  await Promise.all(
    cases.map(async ([served, flags, code]) => {
      const { server, address } = await serve(t, [...served, '--once'])
      const plain = await runCli(t, ['tls', 'connect', address, ...flags], { input: 'secret' })
      assert.equal(plain.code, 1, code)
      assert.equal(plain.stdout, '')
      assert.match(plain.stderr, new RegExp(`^handfast: ${code}: .*\n`))
      assert.match(plain.stderr, /^ {2}remedy {4}\S/m)
      const { code: serverCode, stderr } = await server.ended()
      assert.equal(serverCode, 1)
      assert.match(stderr, /refused\nhandfast: TLS_PEER_ALERT: /)
      assert.doesNotMatch(stderr, /echoed/)
    }),
  )
})

test('tls serve refuses a client without certificate, and both sides say why', async (t) => {
  const files = await meshFiles(t)
  const { server, address } = await serve(t, [...mutual(files), '--once'])
  const { code, stdout, stderr } = await runCli(t, ['tls', 'connect', address, '--ca', files.ca, '--json'], {
    input: 'let me in',
  })
  assert.equal(code, 1)
  assert.equal(stdout, '')
  const { outcome, failure } = JSON.parse(stderr) as Explained
  assert.equal(outcome, 'refused')
  assert.equal(failure?.code, 'TLS_PEER_ALERT')
  assert.equal(failure.stage, 3)
  assert.equal(failure.refusedBy, 'server')
  const refused = await server.ended()
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /refused\nhandfast: TLS_CERTIFICATE_REQUIRED: /)
  assert.doesNotMatch(refused.stderr, /echoed/)
})

test('tls serve holds a client that claims a SPIFFE ID to the rules of SVIDs', async (t) => {
  const files = await meshFiles(t)
  const twice = await files.issue('twice', WEB, { uris: [WEB, CATALOG] })
  const { server, address } = await serve(t, [...mutual(files), '--once'])
  const client = await runCli(t, ['tls', 'connect', address, '--ca', files.ca, ...twice])
  assert.equal(client.code, 1)
  assert.match((await server.ended()).stderr, /handfast: IDENTITY_AMBIGUOUS: /)
})

test('tls connect prints an explanation that ends in the failure', async (t) => {
  const files = await meshFiles(t)
  const { address } = await serve(t, [...files.catalog, '--alpn', 'h2'])
  const { code, stderr } = await runCli(t, [
    'tls',
    'connect',
    address,
    '--ca',
    files.ca,
    '--alpn',
    'http/1.1',
    '--explain',
  ])
  assert.equal(code, 1)
  assert.match(stderr, /^TLS handshake, as the client saw it +✗ failed at stage 1 of 5\n/)
  assert.match(stderr, /^✗ The server refused \(TLS_PEER_ALERT\)\n/m)
  assert.match(stderr, /by the alert no_application_protocol\n/)
  assert.equal(stderr.match(/TLS_PEER_ALERT/g)?.length, 1)
})

test('tls connect hides the server name from observers with a key of tls ech-keygen, and says how to go on', async (t) => {
  const files = await meshFiles(t)
  const make = async (name: string): Promise<{ file: string; config: string }> => {
    const file = join(files.directory, name)
    const made = await runCli(t, ['tls', 'ech-keygen', '--public-name', 'localhost', '--output', file])
    assert.equal(made.code, 0)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    return { file, config: made.stdout.trim() }
  }
  const [known, unknown] = [await make('ech.pem'), await make('other.pem')]
  const { address } = await serve(t, [...files.catalog, '--ech-key', known.file])
  const connect = (config: string): ReturnType<typeof runCli> =>
    runCli(
      t,
      [
        'tls',
        'connect',
        address,
        '--ca',
        files.ca,
        '--spiffe-id',
        CATALOG,
        '--servername',
        'localhost',
        '--json',
      ].concat(['--ech-config', config]),
      { input: 'hello\n' },
    )
  const settled = ({ stderr }: { readonly stderr: string }): Explained['settled'] =>
    (JSON.parse(stderr.split('\n').find((line) => line.startsWith('{'))!) as Explained).settled

  for (const config of [known.config, known.file]) {
    const client = await connect(config)
    assert.equal(client.stdout, 'hello\n')
    assert.equal(settled(client)['ech'], 'accepted')
  }
  const rejected = await connect(unknown.config)
  assert.equal(rejected.code, 1)
  assert.equal(settled(rejected)['ech'], 'rejected')
  assert.ok(rejected.stderr.includes(`Try again with --ech-config ${known.config}\n`))
  const mismatched = await connect(files.ca)
  assert.equal(mismatched.code, 2)
})
