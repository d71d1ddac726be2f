import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { CATALOG, meshFiles, type MeshFiles } from '../cmd/tls-files.ts'
import { spiffeIdOfPem } from './matrix.ts'
import { alertNumberIn, opensslFlags } from './peers/openssl.ts'
import { alertsOf, messagesOf, reportIn } from './reports.ts'
import { connectTo, opensslClient, opensslServer, serveOnce, WITHOUT_OPENSSL } from './tools.ts'

const OTHER = 'spiffe://shop.example/ns/shop/sa/other'

const skip = WITHOUT_OPENSSL

function mutual(files: MeshFiles): string[] {
  return [...files.catalog, '--ca', files.ca, '--require-client-cert']
}

function asWeb(files: MeshFiles): string[] {
  return ['--ca', files.ca, '--spiffe-id', CATALOG, ...files.web, '--json']
}

test('tls serve asks OpenSSL for another key share by a HelloRetryRequest', { skip }, async (t) => {
  const files = await meshFiles(t)
  const server = await serveOnce(t, mutual(files), '--groups', 'secp384r1,secp256r1')
  // Of its four groups it sends a share of the first, which we do not have.
  const client = opensslClient(
    t,
    server.port,
    opensslFlags(files, files.web),
    '-groups',
    'X448:P-521:P-256:P-384',
  )
  client.write('again\n')
  await client.saw(/^again$/m, 'stdout')
  client.write('Q\n')
  assert.match((await client.ended()).stdout, /^Server Temp Key: ECDH, secp384r1/m)
  const { code, stdout } = await server.process.ended()
  assert.equal(code, 0)
  const report = reportIn(stdout)
  assert.equal(report.settled.group, 'secp384r1')
  assert.deepEqual(messagesOf(report).slice(0, 4), [
    'client ClientHello',
    'server HelloRetryRequest',
    'client ClientHello',
    'server ServerHello',
  ])
})

test('tls connect answers the HelloRetryRequest of OpenSSL', { skip }, async (t) => {
  const files = await meshFiles(t)
  const server = await opensslServer(
    t,
    opensslFlags(files, files.catalog),
    '-Verify',
    '4',
    '-groups',
    'P-384:P-256',
    '-rev',
  )
  const client = connectTo(t, server.port, asWeb(files), '--groups', 'x25519,secp384r1,secp256r1')
  client.write('again\n')
  await client.saw(/^niaga$/m, 'stdout')
  client.end()
  const { code, stderr } = await client.ended()
  assert.equal(code, 0, stderr)
  const report = reportIn(stderr)
  assert.equal(report.settled.group, 'secp384r1')
  assert.ok(messagesOf(report).includes('server HelloRetryRequest'))
  assert.match((await server.process.stop()).stderr, /CONNECTION ESTABLISHED\n/)
})

test('tls serve agrees on an application protocol with OpenSSL, or refuses by alert', { skip }, async (t) => {
  const files = await meshFiles(t)
  const flags = opensslFlags(files, files.web)
  const server = await serveOnce(t, mutual(files), '--alpn', 'echo/2,echo/1')
  const client = opensslClient(t, server.port, flags, '-alpn', 'h2,echo/1')
  client.write('Q\n')
  assert.match((await client.ended()).stdout, /^ALPN protocol: echo\/1$/m)
  assert.equal(reportIn((await server.process.ended()).stdout).settled.alpn, 'echo/1')

  const other = await serveOnce(t, mutual(files), '--alpn', 'echo/2')
  const stranger = await opensslClient(t, other.port, flags, '-alpn', 'h2').ended()
  assert.equal(alertNumberIn(stranger.stderr), 120)
  assert.match((await other.process.ended()).stderr, /^handfast: TLS_NO_APPLICATION_PROTOCOL: /m)
})

test(
  'tls connect agrees on an application protocol with OpenSSL, or reports its alert',
  { skip },
  async (t) => {
    const files = await meshFiles(t)
    const flags = opensslFlags(files, files.catalog)
    const server = await opensslServer(t, flags, '-alpn', 'echo/1')
    const client = connectTo(t, server.port, asWeb(files), '--alpn', 'h2,echo/1')
    client.end('Q\n')
    const { code, stderr } = await client.ended()
    assert.equal(code, 0, stderr)
    assert.equal(reportIn(stderr).settled.alpn, 'echo/1')
    assert.match((await server.process.ended()).stdout, /^ALPN protocols selected: echo\/1$/m)

    const other = await opensslServer(t, flags, '-alpn', 'echo/2')
    const refused = await connectTo(t, other.port, asWeb(files), '--alpn', 'h2').ended()
    assert.equal(refused.code, 1)
    assert.deepEqual(reportIn(refused.stderr).failure?.alert, {
      description: 'no_application_protocol',
      from: 'server',
    })
  },
)

test('tls serve shows OpenSSL the certificate that it asks for by SNI', { skip }, async (t) => {
  const files = await meshFiles(t)
  const other = await files.issue('other', OTHER, { dnsNames: ['other.example'] })
  for (const [name, identity] of [
    ['other.example', OTHER],
    ['localhost', CATALOG],
  ] as const) {
    const server = await serveOnce(t, files.catalog, other)
    const client = opensslClient(
      t,
      server.port,
      '-CAfile',
      files.ca,
      '-verify_return_error',
      '-servername',
      name,
    )
    client.write('Q\n')
    assert.equal(spiffeIdOfPem((await client.ended()).stdout), identity)
    assert.equal(reportIn((await server.process.ended()).stdout).settled.serverName, name)
  }
  const server = await serveOnce(t, files.catalog, other)
  const client = await opensslClient(t, server.port, '-servername', 'nobody.example').ended()
  assert.equal(alertNumberIn(client.stderr), 112)
  assert.match((await server.process.ended()).stderr, /^handfast: TLS_UNRECOGNIZED_NAME: /m)
})

test('tls connect gets the certificate of the name that it asks OpenSSL for', { skip }, async (t) => {
  const files = await meshFiles(t)
  const [, cert, , key] = await files.issue('other', OTHER, { dnsNames: ['other.example'] })
  // For the second certificate s_server finds the intermediate among its anchors, or nowhere.
  const anchors = join(files.directory, 'anchors.pem')
  await writeFile(anchors, (await readFile(files.ca, 'utf8')) + (await readFile(files.catalog[1], 'utf8')))
  const server = await opensslServer(
    t,
    opensslFlags({ ca: anchors }, files.catalog),
    ['-servername', 'other.example', '-servername_fatal'],
    ['-cert2', cert, '-key2', key],
  )
  const client = connectTo(t, server.port, '--ca', files.ca, '--servername', 'other.example', '--json')
  client.end('Q\n')
  const { code, stderr } = await client.ended()
  assert.equal(code, 0, stderr)
  const { serverName, peer } = reportIn(stderr).settled
  assert.deepEqual([serverName, peer?.name], ['other.example', 'other.example'])
  assert.match((await server.process.ended()).stdout, /^Hostname in TLS extension: "other\.example"$/m)
})

test(
  'tls serve follows the KeyUpdates of OpenSSL, and answers those that ask for it',
  { skip },
  async (t) => {
    const files = await meshFiles(t)
    const server = await serveOnce(t, mutual(files))
    const client = opensslClient(t, server.port, opensslFlags(files, files.web))
    for (const [word, update] of [
      ['one', 'K'],
      ['two', 'k'],
      ['three', 'K'],
      ['four', 'Q'],
    ]) {
      client.write(`${word}\n`)
      await client.saw(new RegExp(`^${word}$`, 'm'), 'stdout')
      client.write(`${update}\n`)
      // It reads commands from the start of what it got: one at a time.
      if (update !== 'Q') await client.saw(updatesSeen(word === 'one' ? 1 : word === 'two' ? 2 : 3), 'stderr')
    }
    const { code, stdout } = await server.process.ended()
    assert.equal(code, 0)
    const updates = messagesOf(reportIn(stdout)).filter((message) => message.endsWith(' KeyUpdate'))
    assert.deepEqual(updates, [
      'client KeyUpdate',
      'server KeyUpdate',
      'client KeyUpdate',
      'client KeyUpdate',
      'server KeyUpdate',
    ])
  },
)

test(
  'tls connect follows the KeyUpdates of OpenSSL, and answers those that ask for it',
  { skip },
  async (t) => {
    const files = await meshFiles(t)
    const { process: server, port } = await opensslServer(
      t,
      opensslFlags(files, files.catalog),
      '-Verify',
      '4',
    )
    const client = connectTo(t, port, asWeb(files))
    for (const [word, update] of [
      ['one', 'K'],
      ['two', 'k'],
      ['three', undefined],
    ]) {
      client.write(`${word} to OpenSSL\n`)
      await server.saw(new RegExp(`^${word} to OpenSSL$`, 'm'), 'stdout')
      server.write(`${word} from OpenSSL\n`)
      await client.saw(new RegExp(`^${word} from OpenSSL$`, 'm'), 'stdout')
      if (update === undefined) continue
      server.write(`${update}\n`)
      // It takes a command only as the start of what it reads, so that it gets nothing more until this one is done. Once
      // what it sends after is here, the KeyUpdate has been here too: our next word comes after it for certain.
      await server.saw(new RegExp(`(?:SSL_do_handshake -> 1[^]*){${word === 'one' ? 1 : 2}}`), 'stdout')
      server.write(`after ${word}\n`)
      await client.saw(new RegExp(`^after ${word}$`, 'm'), 'stdout')
    }
    client.end()
    const { code, stderr } = await client.ended()
    assert.equal(code, 0, stderr)
    const updates = messagesOf(reportIn(stderr)).filter((message) => message.endsWith(' KeyUpdate'))
    assert.deepEqual(updates, ['server KeyUpdate', 'client KeyUpdate', 'server KeyUpdate'])
  },
)

test('tls serve tells an OpenSSL that was cut off from one that said goodbye', { skip }, async (t) => {
  const files = await meshFiles(t)
  for (const [way, outcome, code] of [
    ['Q', 'established', 0],
    ['SIGKILL', 'broken', 1],
  ] as const) {
    const server = await serveOnce(t, mutual(files))
    const client = opensslClient(t, server.port, opensslFlags(files, files.web))
    client.write('still here\n')
    await client.saw(/^still here$/m, 'stdout')
    if (way === 'Q') client.write('Q\n')
    else await client.stop(way)
    const ended = await server.process.ended()
    assert.equal(ended.code, code, ended.stderr)
    const report = reportIn(ended.stdout)
    assert.equal(report.outcome, outcome)
    assert.equal(alertsOf(report).includes('client close_notify'), way === 'Q')
    if (way !== 'Q') assert.match(ended.stderr, /^handfast: TLS_TRUNCATED: /m)
  }
})

function updatesSeen(count: number): RegExp {
  return new RegExp(`(?:KEYUPDATE[^]*){${count}}`)
}
