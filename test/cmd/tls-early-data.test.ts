import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { readAll } from '../../src/bytes/reader.ts'
import { Writer } from '../../src/bytes/writer.ts'
import { decodePem, encodePem } from '../../src/pki/pem.ts'
import { decodeClientTicket, encodeClientTicket } from '../../src/tls/session/client-ticket-codec.ts'
import { runCli } from './cli.ts'
import { meshFiles } from './tls-files.ts'
import { TalkingServer, toldIn } from './tls-talk.ts'

const EARLY = 'early '

interface World {
  readonly server: TalkingServer
  readonly ca: readonly string[]
  readonly sessions: string
  readonly early: readonly string[]
}

/** A server that takes early data, and a file of sessions that hold one for it. */
async function world(
  t: TestContext,
  {
    serve = ['--early-data', '8192'],
    first = [],
  }: { serve?: readonly string[]; first?: readonly string[] } = {},
): Promise<World> {
  const files = await meshFiles(t)
  const server = await TalkingServer.start(t, [...files.catalog, '--tickets', '1', ...serve])
  const ca = ['--ca', files.ca]
  const sessions = join(files.directory, 'sessions')
  await server.talk([...ca, ...first, '--session-out', sessions])
  const early = join(files.directory, 'early')
  await writeFile(early, EARLY)
  return { server, ca, sessions, early: ['--session-in', sessions, '--early-data', early] }
}

/** A connection with early data after which the server has echoed all of it once, whatever became of it. */
async function visit(
  { server, ca, early }: World,
  flags: readonly string[] = [],
): Promise<readonly [client: string | undefined, server: string | undefined]> {
  const { stdout, client, server: told } = await server.talk([...ca, ...early, ...flags])
  assert.equal(stdout, `${EARLY}word\n`)
  assert.match(server.cli.stderr, /closed; bytes echoed: 11\n$/)
  const { earlyData } = told.settled
  if (earlyData !== undefined)
    assert.equal(earlyData.bytes, earlyData.outcome === 'accepted' ? EARLY.length : 0)
  return [client.settled.earlyData?.outcome, earlyData?.outcome]
}

test('tls connect sends data early, and tls serve takes it as such', async (t) => {
  const { server, ca, early } = await world(t)
  const { stdout, client, server: told } = await server.talk([...ca, ...early])
  assert.equal(stdout, `${EARLY}word\n`)
  for (const { settled, stages } of [client, told]) {
    assert.deepEqual(settled.earlyData, { outcome: 'accepted', bytes: EARLY.length })
    assert.match(stages[4]!.answer!, /, and 6 bytes of early data before that$/)
    const names = stages[4]!.steps.map(({ name }) => name)
    assert.ok(names.includes('EndOfEarlyData'))
  }
  assert.match(server.cli.stderr, /resumed.*, 6 bytes of early data\n/)
})

test('tls connect sends after the handshake what the ticket has no room for', async (t) => {
  const { server, ca, early } = await world(t, { serve: ['--early-data', '4'] })
  const { stdout, client, server: told } = await server.talk([...ca, ...early])
  assert.equal(stdout, `${EARLY}word\n`)
  for (const { settled } of [client, told])
    assert.deepEqual(settled.earlyData, { outcome: 'accepted', bytes: 4 })
})

test('tls connect sends early data again when the ticket was used before', async (t) => {
  const kept = await world(t)
  const copy = `${kept.sessions}-copy`
  await copyFile(kept.sessions, copy)
  assert.deepEqual(await visit(kept), ['accepted', 'accepted'])
  await copyFile(copy, kept.sessions)
  assert.deepEqual(await visit(kept), ['session_not_resumed', 'session_not_resumed'])
  assert.deepEqual(await visit(kept), ['no_session_offered', undefined])
})

test('tls connect sends early data again when another suite is chosen', async (t) => {
  assert.deepEqual(await visit(await world(t, { first: ['--suites', 'TLS_CHACHA20_POLY1305_SHA256'] })), [
    'peer_declined',
    'cipher_suite_mismatch',
  ])
  const otherHash = await world(t, { first: ['--suites', 'TLS_AES_256_GCM_SHA384'] })
  assert.deepEqual(await visit(otherHash), ['session_not_resumed', 'session_not_resumed'])
})

test('tls connect sends early data again, or only then, when another protocol is spoken', async (t) => {
  const serve = ['--early-data', '8192', '--alpn', 'b,a']
  const chosen = await world(t, { serve, first: ['--alpn', 'a'] })
  assert.deepEqual(await visit(chosen, ['--alpn', 'a,b']), ['peer_declined', 'alpn_mismatch'])
  const dropped = await world(t, { serve, first: ['--alpn', 'a'] })
  assert.deepEqual(await visit(dropped, ['--alpn', 'b']), ['alpn_mismatch', undefined])
})

test('tls connect sends early data again after a HelloRetryRequest, which both sides explain', async (t) => {
  const serve = ['--early-data', '8192', '--groups', 'secp256r1,x25519', '--retry-cookie']
  const { server, ca, early } = await world(t, { serve, first: ['--groups', 'secp256r1'] })
  const {
    stdout,
    client,
    server: told,
  } = await server.talk([...ca, ...early, '--groups', 'x25519,secp256r1'])
  assert.equal(stdout, `${EARLY}word\n`)
  for (const { settled, stages } of [client, told]) {
    assert.equal(settled.earlyData?.outcome, 'hello_retry_request')
    assert.deepEqual(settled['retry'], { group: 'secp256r1', cookie: true })
    assert.equal(settled.resumed, true)
    const retry = stages[0]!.steps.find(({ name }) => name === 'HelloRetryRequest')
    assert.deepEqual(Reflect.get(retry!, 'facts')[0], {
      label: 'because',
      value: 'the server wants secp256r1, which the client knows and sent no share of; it guessed x25519',
    })
  }
  assert.equal(client.settled.earlyData?.bytes, EARLY.length, 'so much went out for nothing')
  assert.equal(told.settled.earlyData?.bytes, 0)
})

test('tls connect sends early data again when the clocks disagree about the age of the ticket', async (t) => {
  const kept = await world(t)
  const [block] = decodePem(await readFile(kept.sessions, 'utf8'), 'HANDFAST SESSION')
  const aged = readAll(block!, 'session', (reader) => {
    const shown = reader.bytes8('shown')
    const ticket = decodeClientTicket(reader.bytes24('ticket'))
    const older = encodeClientTicket({ ...ticket, receivedAtMs: ticket.receivedAtMs - 120_000 })
    return new Writer().bytes8(shown).bytes24(older)
  })
  await writeFile(kept.sessions, encodePem('HANDFAST SESSION', aged.finish()))
  assert.deepEqual(await visit(kept), ['peer_declined', 'ticket_age_skew'])
})

test('tls connect sends data after the handshake where early data is off', async (t) => {
  const off = await world(t, { serve: [] })
  assert.deepEqual(await visit(off), ['unsupported_for_session', undefined])
  const [kept, other] = [await world(t), await world(t, { serve: [] })]
  const { sessions } = kept
  await copyFile(sessions, other.sessions)
  // The other server has another root.
  const elsewhere = await other.server.talk([...other.ca, ...other.early])
  assert.equal(elsewhere.client.settled.ticket?.reason, 'peer_rejected')
  assert.equal(elsewhere.client.settled.earlyData?.outcome, 'no_session_offered')
})

test('tls serve without early data drops what comes, and says so', async (t) => {
  const files = await meshFiles(t)
  const ca = ['--ca', files.ca]
  const [taking, refusing] = await Promise.all([
    TalkingServer.start(t, [...files.catalog, '--early-data', '8192']),
    TalkingServer.start(t, files.catalog),
  ])
  const sessions = join(files.directory, 'sessions')
  await taking.talk([...ca, '--session-out', sessions])
  const { stdout, client, server } = await refusing.talk([
    ...ca,
    '--session-in',
    sessions,
    '--early-data',
    '-',
  ])
  assert.equal(stdout, 'word\n')
  assert.deepEqual(client.settled.earlyData, { outcome: 'session_not_resumed', bytes: 5 })
  assert.deepEqual(server.settled.earlyData, { outcome: 'disabled', bytes: 0 })
})

test('tls serve delivers nothing of a first flight with early data that somebody recorded and sends again', async (t) => {
  const { server, ca, early } = await world(t)
  const recorded = await recorder(t, server.port)
  const args = ['tls', 'connect', `localhost:${recorded.port}`, '--json', ...ca, ...early]
  const { stdout, stderr } = await runCli(t, args, { input: 'word\n' })
  assert.equal(stdout, `${EARLY}word\n`)
  assert.equal(toldIn(stderr)[0]!.settled.earlyData?.outcome, 'accepted')

  const replay = connect(server.port, '127.0.0.1')
  t.after(() => replay.destroy())
  replay.end(recorded.firstFlight())
  await server.cli.saw(/^(?:.*\n){3}/, 'stdout')
  const told = toldIn(server.cli.stdout).at(-1)!
  assert.equal(told.outcome, 'refused')
  assert.deepEqual(told.settled.ticket, { outcome: 'refused', reason: 'unknown' })
  assert.deepEqual(told.settled.earlyData, { outcome: 'session_not_resumed', bytes: 0 })
  assert.equal(server.cli.stderr.match(/bytes of early data/g)?.length, 1)
})

test('tls serve --http answers a request that came early, and says so', async (t) => {
  const { server, ca, sessions } = await world(t, { serve: ['--early-data', '8192', '--http'] })
  const garbage = await server.talk(ca, 'no request\n')
  assert.match(garbage.stdout, /^HTTP\/1\.1 400 /)
  assert.match(server.cli.stderr, /closed; HTTP requests answered: 0\n$/)
  const request = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
  const { stdout } = await server.talk([...ca, '--session-in', sessions, '--early-data', '-'], request)
  assert.match(stdout, /^HTTP\/1\.1 200 OK\r\n/)
  assert.match(stdout, /^resumed +yes$/m)
  assert.match(stdout, new RegExp(`^early data +accepted, ${request.length} bytes$`, 'm'))
})

/** A relay that keeps what the client says before the server answers. */
async function recorder(
  t: TestContext,
  target: number,
): Promise<{ readonly port: number; readonly firstFlight: () => Buffer }> {
  const flight: Buffer[] = []
  let answered = false
  const open: Socket[] = []
  const relay = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true })
    open.push(client, upstream)
    client.on('data', (bytes: Buffer) => {
      if (!answered) flight.push(bytes)
    })
    upstream.once('data', () => (answered = true))
    client.pipe(upstream).pipe(client)
  })
  t.after(() => {
    relay.close()
    for (const socket of open) socket.destroy()
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  return { port: (relay.address() as AddressInfo).port, firstFlight: () => Buffer.concat(flight) }
}
