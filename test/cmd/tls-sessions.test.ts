import assert from 'node:assert/strict'
import { chmod, copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import test, { type TestContext } from 'node:test'
import type { CommandIo } from '../../src/cmd/command.ts'
import { UsageError } from '../../src/cmd/errors.ts'
import { tlsConnect } from '../../src/cmd/tls/connect.ts'
import { tlsServe } from '../../src/cmd/tls/serve.ts'
import { ConfigError } from '../../src/config/errors.ts'
import { runCli } from './cli.ts'
import { meshFiles, WEB, type MeshFiles } from './tls-files.ts'
import { TalkingServer, toldIn } from './tls-talk.ts'

interface World {
  readonly files: MeshFiles
  readonly ca: readonly ['--ca', string]
  /** Of a file that need not exist. */
  readonly path: (name: string) => string
}

async function world(t: TestContext): Promise<World> {
  const files = await meshFiles(t)
  return { files, ca: ['--ca', files.ca], path: (name) => join(files.directory, name) }
}

async function kept(path: string): Promise<number> {
  return (await readFile(path, 'utf8')).split('BEGIN HANDFAST SESSION').length - 1
}

test('tls connect keeps the sessions of a server for its owner alone, and uses each once', async (t) => {
  const { files, ca, path } = await world(t)
  const server = await TalkingServer.start(t, files.catalog)
  const file = path('sessions')
  const full = await server.talk([...ca, '--session-out', file])
  assert.equal(full.stdout, 'word\n')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.equal(await kept(file), 2)
  assert.equal(full.client.settled.resumed, false)
  assert.equal(full.client.settled.ticket, undefined)
  const copy = path('copy')
  await copyFile(file, copy)

  const resumed = await server.talk([...ca, '--session-in', file])
  assert.equal(resumed.stdout, 'word\n')
  assert.equal(await kept(file), 1)
  for (const { settled } of [resumed.client, resumed.server]) {
    assert.equal(settled.resumed, true)
    assert.equal(settled.ticket?.outcome, 'accepted')
    assert.equal(typeof settled.ticket.ageMs, 'number')
  }
  assert.deepEqual(resumed.client.settled.peer, full.client.settled.peer, 'whom the first handshake proved')
  assert.equal(
    resumed.client.stages[2]?.steps.some(({ name }) => name === 'Certificate'),
    false,
  )

  const twice = await server.talk([...ca, '--session-in', copy])
  assert.equal(twice.stdout, 'word\n')
  assert.deepEqual(twice.client.settled.ticket, { outcome: 'refused', reason: 'peer_declined' })
  assert.deepEqual(twice.server.settled.ticket, { outcome: 'refused', reason: 'unknown' })
  for (const { settled } of [twice.client, twice.server]) assert.equal(settled.resumed, false)
})

test('tls connect fills the file that it takes sessions from, whether or not it exists', async (t) => {
  const { files, ca, path } = await world(t)
  const server = await TalkingServer.start(t, [...files.catalog, '--tickets', '1'])
  const file = path('sessions')
  const both = ['--session-in', file, '--session-out', file]
  for (const resumed of [false, true, true]) {
    assert.equal((await server.talk([...ca, ...both])).client.settled.resumed, resumed)
    assert.equal(await kept(file), 1)
  }
})

test('tls connect resumes only a connection of the same name and certificate', async (t) => {
  const { files, ca, path } = await world(t)
  const server = await TalkingServer.start(t, [...files.catalog, '--ca', files.ca, '--tickets', '1'])
  const file = path('sessions')
  const first = await server.talk([...ca, ...files.web, '--session-out', file])
  assert.equal(first.server.settled.peer?.name, WEB)
  for (const flags of [[], ['--servername', '127.0.0.1', ...files.web], files.catalog]) {
    const other = await server.talk([...ca, ...flags, '--session-in', file])
    assert.equal(other.client.settled.resumed, false)
    assert.equal(await kept(file), 1)
  }
  const same = await server.talk([...ca, ...files.web, '--session-in', file])
  assert.equal(same.server.settled.resumed, true)
  assert.deepEqual(same.server.settled.peer, first.server.settled.peer, 'judged again, and shown')
})

test('tls connect does not resume what it would no longer trust', async (t) => {
  const { files, ca, path } = await world(t)
  const server = await TalkingServer.start(t, files.catalog)
  const file = path('sessions')
  await server.talk([...ca, '--session-out', file])
  const copy = path('copy')
  await copyFile(file, copy)
  const gone = await server.talk(['--ca', files.otherCa, '--session-in', file])
  assert.equal(gone.code, 1)
  assert.deepEqual(gone.client.settled.ticket, { outcome: 'withheld', reason: 'peer_rejected' })
  assert.equal(gone.client.failure?.code, 'PKI_UNKNOWN_ISSUER')
  const note = gone.client.stages[2]!.steps.find(({ kind }) => kind === 'note')
  assert.match(note!.text!, /would not be accepted any more: PKI_UNKNOWN_ISSUER, .* one no longer/)
  const other = await server.talk([...ca, '--spiffe-id', WEB, '--session-in', copy])
  assert.deepEqual(other.client.settled.ticket, { outcome: 'withheld', reason: 'peer_rejected' })
  assert.equal(other.client.failure?.code, 'IDENTITY_MISMATCH')
})

test('tls connect --reconnect resumes connection after connection, and the last one carries the data', async (t) => {
  const { files, ca } = await world(t)
  const server = await TalkingServer.start(t, [...files.catalog, '--early-data', '100', '--tickets', '1'])
  const { stdout, stderr, client } = await server.talk([...ca, '--reconnect', '2', '--early-data', '-'])
  assert.equal(stdout, 'word\n')
  assert.deepEqual(
    toldIn(stderr).map(({ settled }) => settled.resumed),
    [false, true, true],
  )
  assert.deepEqual(client.settled.earlyData, { outcome: 'accepted', bytes: 5 })
  assert.match(
    server.cli.stderr,
    /closed; bytes echoed: 0\n[^]*closed; bytes echoed: 0\n[^]*closed; bytes echoed: 5\n/,
  )
})

test('tls serve --ticket-key lets another server resume its connections, again and again and never early', async (t) => {
  const { files, ca, path } = await world(t)
  const [current, previous, other] = ['aa', 'bb', 'cc'].map((byte) => byte.repeat(48))
  const keys = async (name: string, lines: readonly (string | undefined)[]): Promise<string[]> => {
    await writeFile(path(name), `${lines.join('\n')}\n`, { mode: 0o600 })
    return [...files.catalog, '--ticket-key', path(name)]
  }
  const [first, rotated, stranger] = await Promise.all(
    (
      [
        ['first', [current]],
        ['rotated', [previous, current]],
        ['stranger', [other]],
      ] as const
    ).map(async ([name, lines]) => TalkingServer.start(t, await keys(name, lines))),
  )
  const file = path('sessions')
  await first!.talk([...ca, '--session-out', file])
  for (const server of [rotated!, rotated!, stranger!]) {
    await copyFile(file, path('copy'))
    const { client, server: told } = await server.talk([
      ...ca,
      '--session-in',
      path('copy'),
      '--early-data',
      '-',
    ])
    assert.equal(client.settled.earlyData?.outcome, 'unsupported_for_session')
    assert.equal(told.settled.resumed, server !== stranger)
    if (server === stranger) assert.equal(told.settled.ticket?.reason, 'unknown')
  }
})

test('tls serve gives no tickets when told so, and takes none', async (t) => {
  const { files, ca, path } = await world(t)
  const [giving, silent] = await Promise.all([
    TalkingServer.start(t, files.catalog),
    TalkingServer.start(t, [...files.catalog, '--no-tickets']),
  ])
  const file = path('sessions')
  await silent.talk([...ca, '--session-out', file])
  assert.equal(await kept(file), 0)
  await giving.talk([...ca, '--session-out', file])
  const { server } = await silent.talk([...ca, '--session-in', file])
  assert.deepEqual(server.settled.ticket, { outcome: 'refused', reason: 'tickets_disabled' })
  assert.equal(server.settled.resumed, false)
})

test('tls connect and tls serve refuse sessions, keys and flags that make no sense, as misuse', async (t) => {
  const { files, path } = await world(t)
  const file = async (name: string, text: string, mode = 0o600): Promise<string> => {
    await writeFile(path(name), text)
    await chmod(path(name), mode)
    return path(name)
  }
  // What begins although it should not ends at once, and then fails this test.
  const io: CommandIo = {
    stdin: new PassThrough().end(),
    stdout: new PassThrough(),
    stderr: new PassThrough(),
    env: {},
    signal: AbortSignal.abort(),
  }
  const hex = 'ab'.repeat(48)
  const open = await file('open', hex, 0o644)
  const short = await file('short', 'abcd')
  const words = await file('words', 'correct horse battery staple')
  const session = `-----BEGIN HANDFAST SESSION-----\n${Buffer.from([0, 0, 0, 1, 9]).toString('base64')}\n-----END HANDFAST SESSION-----\n`
  const future = await file('future', session)
  const connect = ['connect', 'localhost:1']
  const serve = ['serve', ...files.catalog, '--listen', '127.0.0.1:0']
  for (const [args, message] of [
    [
      [...connect, '--session-in', path('none')],
      /CONFIG_MISSING_FILE: .*--session-in: expected a file of sessions/,
    ],
    [[...connect, '--session-in', open], /CONFIG_INSECURE_PERMISSIONS: .*--session-in: .* 0644/],
    [[...connect, '--session-out', open], /CONFIG_INSECURE_PERMISSIONS: .*--session-out: .* 0644/],
    [[...connect, '--session-out', files.directory], /CONFIG_UNREADABLE: .*--session-out/],
    [
      [...connect, '--session-in', words],
      /CONFIG_INVALID: .*--session-in: expected sessions that --session-out wrote/,
    ],
    [[...connect, '--session-in', future], /CONFIG_INVALID: .*layout 9, expected \d/],
    [[...connect, '--early-data', words], /--session-in: expected a file with a session for --early-data/],
    [[...connect, '--reconnect', '1', '--early-data', path('none')], /CONFIG_MISSING_FILE: .*--early-data/],
    [[...connect, '--reconnect', '-1'], /--reconnect: expected a value/],
    [[...connect, '--reconnect', '101'], /--reconnect: expected a number from 0 to 100, got "101"/],
    [[...connect, '--psk-file', short], /--psk-identity: expected what both sides call the key/],
    [
      [...connect, '--psk-identity', 'a'],
      /--psk-file: expected the file of the key that --psk-identity is about/,
    ],
    [
      [...connect, '--psk-hash', 'sha256'],
      /--psk-file: expected the file of the key that --psk-hash is about/,
    ],
    [[...connect, '--psk-identity', 'a', '--psk-file', open], /CONFIG_INSECURE_PERMISSIONS: .*--psk-file/],
    [
      [...connect, '--psk-identity', 'a', '--psk-file', short],
      /CONFIG_INVALID: .*at least 16 bytes .*It has 2 bytes/,
    ],
    [[...connect, '--psk-identity', 'a', '--psk-file', words], /CONFIG_INVALID: .*It is not hexadecimal$/],
    [
      [...connect, '--psk-identity', 'a', '--psk-file', open, '--psk-hash', 'md5'],
      /--psk-hash: expected sha256 or sha384, got "md5"/,
    ],
    [
      [...serve, '--no-tickets', '--early-data', '5'],
      /--early-data: expected nothing with --no-tickets, got "5"/,
    ],
    [[...serve, '--tickets', '17'], /--tickets: expected a number from 0 to 16, got "17"/],
    [[...serve, '--ticket-lifetime', '8d'], /--ticket-lifetime: expected 1s to 7d, got "8d"/],
    [[...serve, '--early-data', '20000'], /--early-data: expected a number from 0 to 14336, got "20000"/],
    [[...serve, '--ticket-key', open], /CONFIG_INSECURE_PERMISSIONS: .*--ticket-key/],
    [
      [...serve, '--ticket-key', short],
      /CONFIG_INVALID: .*--ticket-key: expected one or two lines of 48 bytes/,
    ],
    [
      [...serve, '--ticket-key', short, '--early-data', '5'],
      /--early-data: expected no --ticket-key, got one/,
    ],
    [
      [
        ...serve,
        '--ca',
        files.ca,
        '--require-client-cert',
        '--psk-identity',
        'a',
        '--psk-file',
        await file('psk', hex),
      ],
      /--require-client-cert: expected no --psk-file, got one/,
    ],
  ] as const) {
    const command = args[0] === 'serve' ? tlsServe : tlsConnect
    await assert.rejects(command.run(args.slice(1), io), (error) => {
      assert.ok(error instanceof UsageError || error instanceof ConfigError, String(error))
      const told = `${error.code}: ${error.message}`
      assert.match(told, message)
      assert.ok(!told.includes('horse') && !told.includes(hex), 'what may be a secret is not repeated')
      return true
    })
  }
})

test('tls connect goes on when its sessions cannot be kept any more', async (t) => {
  const { files, ca, path } = await world(t)
  const server = await TalkingServer.start(t, files.catalog)
  const file = path('sessions')
  const args = ['tls', 'connect', `localhost:${server.port}`, ...ca, '--session-out', file]
  // Nothing can be written where a directory stands.
  await writeFile(file, '', { mode: 0o600 })
  await mkdir(join(`${file}.unfinished`, 'in the way'), { recursive: true })
  const { code, stdout, stderr } = await runCli(t, args, { input: 'word\n' })
  assert.deepEqual([code, stdout], [0, 'word\n'])
  assert.match(stderr, /^handfast: Warning: Cannot keep a session in .*sessions: /)
})
