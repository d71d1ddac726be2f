import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import test, { type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { SecureConnection } from '../../src/net/engine-connection.ts'
import { nodeTransport } from '../../src/net/node-transport.ts'
import { secureClient } from '../../src/net/secure-connection.ts'
import type { Connection } from '../../src/net/transport.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import type { TlsError } from '../../src/tls/errors.ts'
import type { X509Svid } from '../../src/identity/svid.ts'
import { dial, outcomeOf, refusing, tcpApp } from '../support/apps.ts'
import { mintTrustDomain } from '../support/certificates.ts'
import {
  allow,
  DEFAULTS,
  crypto,
  idOf,
  LOOPBACK,
  mint,
  policy,
  proxyOf,
  worldOf,
  type World,
} from '../support/proxy-world.ts'
import { RecordedConnection } from '../support/recorded-connection.ts'

/** Whether the proxy tells refused peers why. What our code refuses after OpenSSL's handshake ends without an alert. */
function sendsAlerts(): boolean {
  return DEFAULTS.tlsEngine === 'handfast'
}

/** A TLS client of our own in place of the outbound proxy. */
async function client(
  t: TestContext,
  world: World,
  credential?: X509Svid,
): Promise<{ secure: SecureConnection; raw: Connection }> {
  const raw = await nodeTransport.connect(world.gate, { timeoutMs: 5_000 })
  t.after(() => raw.abort())
  const verifier = svidVerifier({ bundles: () => world.domain.bundles, crypto })
  const options = { crypto, nowMs: Date.now, verifier, ...(credential && { credential }) }
  return { secure: await secureClient(raw, options, { deadlineMs: 5_000 }), raw }
}

test('proxy carries TCP of an allowed peer both ways, with half-close: an echo after the end of the other half', async (t) => {
  const app = await tcpApp(t, (socket) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => socket.end(`echo ${Buffer.concat(chunks).toString()}`))
  })
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  const socket = await dial(t, world.entry)
  socket.end('hello')
  assert.deepEqual(await outcomeOf(socket), { text: 'echo hello' })

  const [line] = await linesOf(world)
  assert.equal(line!['peer'], idOf('web'))
  assert.equal(line!['verdict'], 'permit')
  assert.equal(line!['requestBytes'], 5)
  assert.equal(line!['responseBytes'], 10)
  assert.deepEqual(line!['tls'], {
    version: 'TLS 1.3',
    suite: 'TLS_AES_128_GCM_SHA256',
    resumed: false,
    // OpenSSL does not tell servers.
    ...(DEFAULTS.tlsEngine === 'handfast' && { group: 'X25519MLKEM768' }),
  })
})

async function linesOf(world: World): Promise<readonly Record<string, unknown>[]> {
  return (await world.catalog.log.saw('access')).map(({ fields }) => fields)
}

test('proxy carries the end of the server half while the client half goes on', async (t) => {
  const received = Promise.withResolvers<string>()
  const app = await tcpApp(t, (socket) => {
    socket.end('greeting')
    let text = ''
    socket.on('data', (chunk) => (text += String(chunk)))
    socket.on('end', () => received.resolve(text))
  })
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  const socket = await dial(t, world.entry)
  assert.deepEqual(await outcomeOf(socket), { text: 'greeting' })
  socket.end('and yet I speak')
  assert.equal(await received.promise, 'and yet I speak')
})

test('proxy closes a denied peer without a byte or a connection to the application', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('secret'))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address, rules: [allow('someone-else')] })
  const socket = await dial(t, world.entry)
  socket.write('let me in')
  const { text } = await outcomeOf(socket)
  assert.equal(text, '')
  assert.equal(app.connections(), 0)
  const [line] = await linesOf(world)
  assert.equal(line!['verdict'], 'denial')
  assert.equal(line!['cause'], 'no-matching-rule')
})

test('proxy closes every peer when there is no policy for the workload', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('secret'))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address, rules: [] })
  const { secure } = await client(t, world, await mint(world.domain, 'web'))
  const recorded = new RecordedConnection(secure)
  await recorded.ended
  assert.equal(recorded.bytes, 0)
  assert.equal(app.connections(), 0)
})

test('proxy refuses a client without certificate, and the client learns the alert', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('secret'))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  // A TLS 1.3 client is done before the server has seen its certificate; the refusal comes after.
  const { secure } = await client(t, world)
  const error = (await new RecordedConnection(secure).closed) as TlsError
  assert.equal(error.code, sendsAlerts() ? 'TLS_PEER_ALERT' : 'NET_RESET')
  if (sendsAlerts()) assert.equal(error.received, 'certificate_required')
  assert.equal(app.connections(), 0)
})

test('proxy refuses a client of a trust domain that has no bundle', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('secret'))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  const impostor = await mint(await mintTrustDomain(), 'web')
  const { secure } = await client(t, world, impostor)
  const error = (await new RecordedConnection(secure).closed) as TlsError
  assert.equal(error.code, sendsAlerts() ? 'TLS_PEER_ALERT' : 'NET_RESET')
  if (sendsAlerts()) assert.equal(error.received, 'unknown_ca')
  assert.equal(app.connections(), 0)
})

test('proxy answers plaintext on its TLS port with an alert and a typed failure', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('secret'))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  const socket = await dial(t, world.gate)
  socket.write('GET / HTTP/1.1\r\nHost: catalog\r\n\r\n')
  const { text } = await outcomeOf(socket)
  // A plaintext alert record: type 21, version 3.3, two bytes, fatal.
  const alert = sendsAlerts() ? '150303000202' : ''
  assert.equal(Buffer.from(text, 'latin1').subarray(0, 6).toString('hex'), alert)
  assert.equal(app.connections(), 0)
  const [failure] = await world.catalog.log.saw('Handshake failed')
  assert.equal((failure!.fields['error'] as TlsError).code, 'TLS_NOT_TLS')
})

test('proxy refuses a server that is not exactly the configured peer: the application sees a reset', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('secret'))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address, expectedPeer: idOf('payments') })
  const socket = await dial(t, world.entry)
  const { text, error } = await outcomeOf(socket)
  assert.equal(text, '')
  assert.equal(error, 'ECONNRESET')
  assert.equal(app.connections(), 0)
  const [failure] = await world.web.log.saw('Cannot reach the peer')
  assert.match((failure!.fields['error'] as TlsError).message, /payments/)
})

test('proxy shows a truncated stream to the application as a reset and never as an end', async (t) => {
  const outcome = Promise.withResolvers<{ text: string; error?: string }>()
  const app = await tcpApp(t, (socket) => void outcomeOf(socket).then(outcome.resolve))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  const { secure, raw } = await client(t, world, await mint(world.domain, 'web'))
  const recorded = new RecordedConnection(secure)
  secure.write(Buffer.from('half of it'))
  await delay(50)
  raw.end()
  assert.deepEqual(await outcome.promise, { text: 'half of it', error: 'ECONNRESET' })
  await recorded.closed
  const [line] = await linesOf(world)
  assert.equal((line!['error'] as Record<string, unknown>)['code'], 'TLS_TRUNCATED')
})

test('proxy carries a reset of the application to the other end as a reset', async (t) => {
  const app = await tcpApp(t, (socket) => {
    socket.write('part')
    setTimeout(() => socket.resetAndDestroy(), 50)
  })
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  const socket = await dial(t, world.entry)
  assert.deepEqual(await outcomeOf(socket), { text: 'part', error: 'ECONNRESET' })
})

test('proxy shows an application that is not there as a reset', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end())
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  app.server.close()
  const socket = await dial(t, world.entry)
  assert.equal((await outcomeOf(socket)).error, 'ECONNRESET')
  const [line] = await linesOf(world)
  assert.equal((line!['error'] as Record<string, unknown>)['code'], 'NET_CONNECTION_REFUSED')
})

test('proxy carries 32 MB intact', async (t) => {
  const app = await tcpApp(t, (socket) => void pipeline(socket, socket).catch(() => {}))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  const socket = await dial(t, world.entry)
  const block = randomBytes(1 << 20)
  const [sent, received] = [createHash('sha256'), createHash('sha256')]
  let bytes = 0
  socket.on('data', (chunk) => {
    bytes += chunk.length
    received.update(chunk)
  })
  const ended = new Promise((resolve) => socket.once('end', resolve))
  await pipeline(
    function* () {
      for (let i = 0; i < 32; i++) {
        sent.update(block)
        yield block
      }
    },
    socket,
    { end: true },
  )
  await ended
  assert.equal(bytes, 32 << 20)
  assert.equal(received.digest('hex'), sent.digest('hex'))
})

test('proxy holds a sender back for a slow reader, in bounded memory', async (t) => {
  const app = await tcpApp(t, (socket) => {
    socket.pause()
  })
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  const socket = await dial(t, world.entry)
  const before = process.memoryUsage.rss()
  const block = Buffer.alloc(1 << 20)
  let sent = 0
  let stuckSince = performance.now()
  while (performance.now() - stuckSince < 300 && sent < 512) {
    if (socket.writableLength < 1 << 20) {
      socket.write(block)
      sent++
      stuckSince = performance.now()
    }
    await delay(2)
  }
  assert.ok(sent < 100, `${sent} MB went into the pipe with nobody reading`)
  const grown = (process.memoryUsage.rss() - before) / 2 ** 20
  assert.ok(grown < 200, `memory grew by ${grown} MB`)
})

test('proxy cuts TCP that new policy denies, and leaves alone what it still allows', async (t) => {
  const app = await tcpApp(t, (socket) => void socket.write('welcome'))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address, rules: [allow('web'), allow('admin')] })
  const web = new RecordedConnection((await client(t, world, await mint(world.domain, 'web'))).secure)
  const admin = new RecordedConnection((await client(t, world, await mint(world.domain, 'admin'))).secure)
  await Promise.all([web.received(7), admin.received(7)])
  await world.catalog.publishPolicy(policy(allow('admin')))
  assert.equal((await web.closed)?.code, 'NET_RESET')
  const [line] = await linesOf(world)
  assert.equal((line!['error'] as Record<string, unknown>)['code'], 'PROXY_NO_LONGER_ALLOWED')
  await delay(50)
  assert.ok(!admin.events.includes('closed'))
})

test('proxy cuts peers whose root is no longer in the trust bundle', async (t) => {
  const app = await tcpApp(t, (socket) => void socket.write('welcome'))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  const web = new RecordedConnection((await client(t, world, await mint(world.domain, 'web'))).secure)
  await web.received(7)
  const other = await mintTrustDomain()
  await world.catalog.publishIdentity({ svid: await mint(world.domain, 'catalog'), bundles: other.bundles })
  assert.equal((await web.closed)?.code, 'NET_RESET')
  const [line] = await linesOf(world)
  assert.equal((line!['error'] as Record<string, unknown>)['code'], 'PROXY_NO_LONGER_TRUSTED')
})

test("proxy cuts a connection when the peer's certificate ends", async (t) => {
  const app = await tcpApp(t, (socket) => void socket.write('welcome'))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  const shortLived = await mint(world.domain, 'web', 2_000)
  const web = new RecordedConnection((await client(t, world, shortLived)).secure)
  await web.received(7)
  assert.equal((await web.closed)?.code, 'NET_RESET')
  assert.ok(Date.now() > shortLived.expiresAtMs)
  const [line] = await linesOf(world)
  assert.equal((line!['error'] as Record<string, unknown>)['code'], 'PROXY_CERTIFICATE_ENDED')
})

test('proxy keeps connections through a renewal of the certificate, and shows the new one to new peers', async (t) => {
  const app = await tcpApp(t, (socket) => void socket.pipe(socket))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  const old = new RecordedConnection((await client(t, world, await mint(world.domain, 'web'))).secure)
  const renewed = await mint(world.domain, 'catalog')
  await world.catalog.publishIdentity({ svid: renewed, bundles: world.domain.bundles })
  const { secure } = await client(t, world, await mint(world.domain, 'web'))
  assert.equal(secure.session.peer?.path[0]?.serialNumber, renewed.chain[0]?.serialNumber)
  old.connection.write(Buffer.from('still here'))
  await old.received(10)
  assert.equal(world.catalog.views.renewals, 1)
})

test('proxy refuses everything before it has identity and policy', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('secret'))
  const proxy = await proxyOf(t, {
    inbound: [{ name: 'in', listen: LOOPBACK, forward: app.address, protocol: 'tcp' }],
    outbound: [{ name: 'out', listen: LOOPBACK, connect: app.address, peer: idOf('x'), protocol: 'tcp' }],
  })
  const domain = await mintTrustDomain()
  for (const step of ['nothing', 'identity only'] as const) {
    if (step === 'identity only')
      await proxy.publishIdentity({ svid: await mint(domain, 'catalog'), bundles: domain.bundles })
    for (const name of ['in', 'out']) {
      // The reset may come before or after the client hears of its connection.
      const outcome = await dial(t, proxy.addresses[name]!).then(
        outcomeOf,
        (error: NodeJS.ErrnoException) => ({
          text: '',
          error: error.code,
        }),
      )
      assert.deepEqual(outcome, { text: '', error: 'ECONNRESET' }, `${name} with ${step}`)
    }
  }
  assert.equal(app.connections(), 0)
})

test('proxy refuses everything when its own certificate has expired', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('secret'))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  await world.catalog.publishIdentity({
    svid: await mint(world.domain, 'catalog', -1_000),
    bundles: world.domain.bundles,
  })
  const socket = await dial(t, world.entry)
  assert.equal((await outcomeOf(socket)).error, 'ECONNRESET')
  assert.equal(app.connections(), 0)
})

test('proxy drains: it stops accepting, waits for what is under way, then cuts what is left', async (t) => {
  const app = await tcpApp(t, (socket) => void socket.pipe(socket))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address, drainTimeoutMs: 400 })
  const finishing = await dial(t, world.entry)
  const lasting = await dial(t, world.entry)
  finishing.write('a')
  lasting.write('b')
  await Promise.all(
    [finishing, lasting].map((socket) => new Promise((resolve) => socket.once('data', resolve))),
  )
  const startedMs = performance.now()
  const drained = world.catalog.drain()
  await refusing(world.gate)
  const [finished, cut] = [outcomeOf(finishing), outcomeOf(lasting)]
  finishing.end('last words')
  assert.deepEqual(await finished, { text: 'last words' })
  await drained
  assert.ok(performance.now() - startedMs >= 390)
  assert.equal((await cut).error, 'ECONNRESET')
  assert.deepEqual(world.catalog.log.named('Drained')[0]?.fields['cut'], 1)
})

test('proxy cuts a handshake that does not get on, with user_canceled', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('secret'))
  const domain = await mintTrustDomain()
  const proxy = await proxyOf(t, {
    handshakeTimeoutMs: 100,
    inbound: [{ name: 'in', listen: LOOPBACK, forward: app.address, protocol: 'tcp' }],
  })
  await proxy.publishIdentity({ svid: await mint(domain, 'catalog'), bundles: domain.bundles })
  await proxy.publishPolicy(policy(allow('web')))
  const socket = await dial(t, proxy.addresses['in']!)
  const { text, error } = await outcomeOf(socket)
  if (sendsAlerts()) assert.equal(Buffer.from(text, 'latin1').at(-1), 90)
  else assert.equal(error, 'ECONNRESET')
  assert.equal(app.connections(), 0)
})
