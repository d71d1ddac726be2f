import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import test, { type TestContext } from 'node:test'
import { Cli, runCli } from './cli.ts'
import { CATALOG, meshFiles, WEB } from './tls-files.ts'

async function serve(t: TestContext, args: readonly string[]): Promise<{ server: Cli; port: number }> {
  const server = new Cli(t, ['tls', 'serve', '--listen', '127.0.0.1:0', ...args])
  const [, port] = await server.saw(/Listening on 127\.0\.0\.1:(\d+)\n/)
  return { server, port: Number(port) }
}

/** A TCP server that does as `accept` says; closed with the test. */
async function tcpServer(t: TestContext, accept: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    t.after(() => socket.destroy())
    accept(socket)
  })
  t.after(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('tls serve refuses misuse before it listens, with exit code 2', async (t) => {
  const files = await meshFiles(t)
  const open = join(files.directory, 'open.key')
  await writeFile(open, await readFile(files.catalog[3], 'utf8'))
  await chmod(open, 0o644)
  for (const [args, message] of [
    [[], /--cert: expected the certificate of the server, got nothing/],
    [files.catalog.slice(0, 2), /--key: expected one for each of 1 --cert, got 0/],
    [['--cert', files.catalog[1], '--key', open], /CONFIG_INSECURE_PERMISSIONS: .*open\.key --key: .* 0644/],
    [['--cert', join(files.directory, 'none'), '--key', open], /CONFIG_MISSING_FILE: /],
    [
      ['--cert', files.web[1], '--key', files.catalog[3]],
      /CONFIG_INVALID: .*--key: expected the private key/,
    ],
    [[...files.catalog, '--require-client-cert'], /--ca: expected trust anchors/],
    [
      [...files.catalog, '--listen', '0.0.0.0:0'],
      /--listen: expected a loopback address, got "0\.0\.0\.0:0"/,
    ],
    [[...files.catalog, '--listen', '[::]:0', '--ca', files.ca], /--listen: expected a loopback address/],
    [[...files.catalog, '--http', '--alpn', 'h2'], /--alpn: expected http\/1\.1 with --http, got "h2"/],
    [[...files.catalog, '--groups', 'x25519,x25519'], /--groups: expected each name once/],
    [[...files.catalog, '--signatures', 'mldsa'], /--signatures: expected some of ecdsa_secp256r1_sha256, /],
    [[...files.catalog, '--suites', 'AES'], /--suites: expected some of TLS_AES_128_GCM_SHA256/],
  ] as const) {
    const { code, stderr } = await runCli(t, ['tls', 'serve', '--listen', '127.0.0.1:0', ...args])
    assert.equal(code, 2, stderr)
    assert.match(stderr, message)
    assert.doesNotMatch(stderr, /Listening/)
  }
})

test('tls serve listens beyond loopback when every client must prove who it is', async (t) => {
  const files = await meshFiles(t)
  const args = [
    'tls',
    'serve',
    '--listen',
    '0.0.0.0:0',
    ...files.catalog,
    '--ca',
    files.ca,
    '--require-client-cert',
  ]
  await new Cli(t, args).saw(/Listening on 0\.0\.0\.0:\d+\n/)
})

test('tls connect refuses misuse before it connects, with exit code 2', async (t) => {
  const files = await meshFiles(t)
  for (const [args, message] of [
    [['localhost'], /HOST:PORT: expected HOST:PORT, got "localhost"/],
    [['::1:443'], /an IPv6 address goes in brackets/],
    [['a:1', '--spiffe-id', CATALOG], /--ca: expected the trust bundle/],
    [
      ['a:1', '--spiffe-id', 'spiffe://X', '--ca', files.ca],
      /--spiffe-id: expected a SPIFFE ID, got "spiffe:\/\/X"/,
    ],
    [['a:1', '--timeout', 'soon'], /--timeout: expected a duration such as 500ms, 10s or 2m, got "soon"/],
    [['a:1', '--timeout', '0s'], /--timeout: expected a duration/],
    [['a:1', ...files.web, ...files.catalog], /--cert: expected one for a client, got 2/],
    [['a:1', '--ca', files.web[3]], /CONFIG_INVALID: .*--ca: expected certificates in PEM/],
    [['a:1', '--keylog', files.directory], /CONFIG_UNREADABLE: .*--keylog: expected a file to append to/],
    [['a:1', '--insecure'], /--insecure: no such flag/],
  ] as const) {
    const { code, stderr } = await runCli(t, ['tls', 'connect', ...args])
    assert.equal(code, 2, stderr)
    assert.match(stderr, message)
  }
})

test('tls connect does not append secrets to a key log that others can read', async (t) => {
  const files = await meshFiles(t)
  const keylog = join(files.directory, 'open.log')
  await writeFile(keylog, '', { mode: 0o644 })
  const { code, stderr } = await runCli(t, ['tls', 'connect', '127.0.0.1:1', '--keylog', keylog])
  assert.equal(code, 2)
  assert.match(stderr, /CONFIG_INSECURE_PERMISSIONS: /)
})

test('tls serve names what is not TLS, and echoes none of it', async (t) => {
  const files = await meshFiles(t)
  for (const [bytes, code] of [
    ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'TLS_NOT_TLS'],
    ['\u0016\u0003\u0001\u0000\u0005\u0001\u0000', 'TLS_HANDSHAKE_TRUNCATED'],
    ['', 'TLS_HANDSHAKE_TRUNCATED'],
  ] as const) {
    const { server, port } = await serve(t, [...files.catalog, '--once'])
    const socket = connect(port, '127.0.0.1')
    socket.end(bytes)
    const answer = await buffer(socket)
    // At most one alert: seven bytes.
    assert.ok(answer.length <= 7, answer.toString('hex'))
    const { code: exit, stderr } = await server.ended()
    assert.equal(exit, 1)
    assert.match(stderr, new RegExp(`refused\nhandfast: ${code}: `))
  }
})

test('tls connect names a server that does not speak TLS', async (t) => {
  const files = await meshFiles(t)
  const address = await tcpServer(t, (socket) => socket.end('220 mail.example ESMTP\r\n'))
  const { code, stdout, stderr } = await runCli(t, ['tls', 'connect', address, '--ca', files.ca])
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(stderr, /^handfast: TLS_NOT_TLS: /)
})

test('tls connect gives up on a server that says nothing in time', async (t) => {
  const files = await meshFiles(t)
  const address = await tcpServer(t, () => {})
  const { code, stderr } = await runCli(t, [
    'tls',
    'connect',
    address,
    '--ca',
    files.ca,
    '--timeout',
    '300ms',
    '--json',
  ])
  assert.equal(code, 1)
  const { failure, outcome } = JSON.parse(stderr) as { outcome: string; failure: Record<string, unknown> }
  assert.equal(outcome, 'refused')
  assert.equal(failure['code'], 'TLS_HANDSHAKE_TIMEOUT')
  assert.equal(failure['refusedBy'], undefined)
})

test('tls connect names a port where nobody listens, in JSON too', async (t) => {
  const files = await meshFiles(t)
  const plain = await runCli(t, ['tls', 'connect', '127.0.0.1:1', '--ca', files.ca])
  assert.equal(plain.code, 1)
  assert.match(plain.stderr, /^handfast: NET_CONNECTION_REFUSED: Connect to 127\.0\.0\.1:1: /)
  const { code, stderr } = await runCli(t, ['tls', 'connect', '127.0.0.1:1', '--ca', files.ca, '--json'])
  assert.equal(code, 1)
  assert.equal((JSON.parse(stderr) as { failure: { code: string } }).failure.code, 'NET_CONNECTION_REFUSED')
})

test('tls connect reaches an IPv6 address in brackets, proven by the certificate', async (t) => {
  const files = await meshFiles(t)
  const server = new Cli(t, ['tls', 'serve', '--listen', '[::1]:0', ...files.catalog])
  const started = await Promise.race([
    server.saw(/Listening on (\S+)\n/),
    server.ended().then(({ stderr }) => stderr),
  ])
  if (typeof started === 'string') return t.skip(`no IPv6 loopback: ${started}`)
  const { code, stdout } = await runCli(t, ['tls', 'connect', started[1]!, '--ca', files.ca], {
    input: 'six',
  })
  assert.deepEqual([code, stdout], [0, 'six'])
  return undefined
})

test('tls serve --http describes the session to an HTTP client of another make', async (t) => {
  const files = await meshFiles(t)
  const { server, port } = await serve(t, [...files.catalog, '--ca', files.ca, '--http', '--once'])
  const [, cert, , key] = files.web
  const options = {
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    ca: await readFile(files.ca),
    cert: await readFile(cert),
    key: await readFile(key),
    agent: false,
    ALPNProtocols: ['http/1.1'],
  }
  const request = get(options)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  assert.equal(response.statusCode, 200)
  const body = await text(response)
  assert.match(body, /^version +TLS 1\.3$/m)
  assert.match(body, /^ALPN +http\/1\.1$/m)
  assert.match(body, new RegExp(`^client +${WEB}$`, 'm'))
  const { code, stderr } = await server.ended()
  assert.equal(code, 0, stderr)
  assert.match(stderr, /closed; HTTP requests answered: 1\n$/)
})

test('tls serve on SIGTERM says goodbye to its clients and exits with 0', async (t) => {
  const files = await meshFiles(t)
  const { server, port } = await serve(t, files.catalog)
  const client = new Cli(t, ['tls', 'connect', `127.0.0.1:${port}`, '--ca', files.ca])
  client.child.stdin.write('still here?')
  await client.saw(/still here\?/, 'stdout')
  server.child.kill('SIGTERM')
  assert.deepEqual(await client.ended(), { code: 0, stdout: 'still here?', stderr: '' })
  assert.equal((await server.ended()).code, 0)
})

test('tls connect on SIGINT ends its half in order', async (t) => {
  const files = await meshFiles(t)
  const { server, port } = await serve(t, [...files.catalog, '--once'])
  const client = new Cli(t, ['tls', 'connect', `127.0.0.1:${port}`, '--ca', files.ca])
  client.child.stdin.write('x')
  await client.saw(/x/, 'stdout')
  client.child.kill('SIGINT')
  assert.equal((await client.ended()).code, 0)
  const { code, stderr } = await server.ended()
  assert.equal(code, 0, stderr)
})

test('tls connect ends quietly when nobody reads its output any more', async (t) => {
  const files = await meshFiles(t)
  const { port } = await serve(t, files.catalog)
  const client = new Cli(t, ['tls', 'connect', `127.0.0.1:${port}`, '--ca', files.ca])
  client.child.stdin.write('a'.repeat(1_000))
  await client.saw(/a{1000}/, 'stdout')
  client.child.stdout.destroy()
  client.child.stdin.write('b'.repeat(100_000))
  const { code, stderr } = await client.ended()
  assert.deepEqual([code, stderr], [0, ''])
})

test('tls connect on a signal before the handshake is done ends as the signal would have it', async (t) => {
  const files = await meshFiles(t)
  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const heard = Promise.withResolvers<void>()
    const address = await tcpServer(t, (socket) => socket.once('data', () => heard.resolve()))
    const client = new Cli(t, ['tls', 'connect', address, '--ca', files.ca])
    await heard.promise
    client.child.kill(signal)
    const { code, stderr } = await client.ended()
    assert.deepEqual([code, stderr], [expected, ''])
  }
})

test('tls serve does not wait for a silent client when it is told to stop', async (t) => {
  const files = await meshFiles(t)
  const { server, port } = await serve(t, files.catalog)
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const startedAt = performance.now()
  server.child.kill('SIGTERM')
  assert.equal((await server.ended()).code, 0)
  assert.ok(performance.now() - startedAt < 5_000)
})
