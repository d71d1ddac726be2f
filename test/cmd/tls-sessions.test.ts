import assert from 'node:assert/strict'
import { copyFile, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Cli, runCli, type CliResult } from './cli.ts'
import { meshFiles } from './tls-files.ts'

/** A server on a free port, and how to talk to it. */
async function serve(
  t: TestContext,
  args: readonly string[],
): Promise<{ server: Cli; connect: (args: readonly string[], input?: string) => Promise<CliResult> }> {
  const server = new Cli(t, ['tls', 'serve', '--listen', '127.0.0.1:0', ...args])
  const [, port] = await server.saw(/Listening on 127\.0\.0\.1:(\d+)\n/)
  const connect = (flags: readonly string[], input = 'word\n'): Promise<CliResult> =>
    runCli(t, ['tls', 'connect', `localhost:${port!}`, ...flags], { input })
  return { server, connect }
}

/** What a server's log says of each of its connections. */
function sessions({ stderr }: Cli): string[] {
  return [...stderr.matchAll(/: (TLS 1\.3, .*)\n/g)].map(([, text]) => text!)
}

test('tls connect comes back with a session of its file, once, and with early data', async (t) => {
  const files = await meshFiles(t)
  const { server, connect } = await serve(t, [...files.catalog, '--early-data', '8192'])
  const kept = join(files.directory, 'sessions')
  const copy = join(files.directory, 'copy')
  const early = join(files.directory, 'early')
  await writeFile(early, 'early ')
  const ca = ['--ca', files.ca]
  const count = async (): Promise<number> =>
    (await readFile(kept, 'utf8')).split('BEGIN HANDFAST SESSION').length - 1

  assert.equal((await connect([...ca, '--session-out', kept])).stdout, 'word\n')
  assert.equal((await stat(kept)).mode & 0o777, 0o600)
  assert.equal(await count(), 2)
  assert.equal((await connect([...ca, '--session-in', kept])).stdout, 'word\n')
  assert.equal(await count(), 1)
  await copyFile(kept, copy)
  const resumed = await connect([...ca, '--session-in', kept, '--early-data', early])
  assert.equal(resumed.stdout, 'early word\n')
  assert.equal(await count(), 0)
  const again = await connect([...ca, '--session-in', copy, '--early-data', early])
  assert.equal(again.stdout, 'early word\n', 'what was not taken early goes after the handshake')
  const none = await connect([...ca, '--session-in', kept])
  assert.equal(none.stdout, 'word\n', 'an empty file leads to a full handshake')

  const [full, second, third, replayed, last] = sessions(server)
  for (const text of [full!, replayed!, last!]) assert.doesNotMatch(text, /resumed|early/)
  assert.match(second!, /resumed/)
  assert.match(third!, /resumed.*, 6 bytes of early data$/)
})

test('tls connect and tls serve rest on a pre-shared key, and resume that too', async (t) => {
  const files = await meshFiles(t)
  const [key, other] = [join(files.directory, 'psk'), join(files.directory, 'other-psk')]
  await writeFile(key, `${'ab'.repeat(32)}\n`, { mode: 0o600 })
  await writeFile(other, 'cd'.repeat(32), { mode: 0o600 })
  const psk = (file: string, identity = 'meter 7'): string[] => [
    '--psk-identity',
    identity,
    '--psk-file',
    file,
  ]
  const { server, connect } = await serve(t, psk(key))
  assert.equal((await connect([...psk(key), '--reconnect', '1'])).stdout, 'word\n')
  for (const text of sessions(server)) assert.match(text, /client with the pre-shared key "meter 7"/)
  assert.deepEqual(
    sessions(server).map((text) => text.includes('resumed')),
    [false, true],
  )
  const wrong = await connect(psk(other))
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /^handfast: TLS_PEER_ALERT: .* decrypt_error\n/)
  const unknown = await connect(psk(key, 'meter 8'))
  assert.equal(unknown.code, 1)
  assert.match(unknown.stderr, /^handfast: TLS_PEER_ALERT: .* handshake_failure\n/)
})
