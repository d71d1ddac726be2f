import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { meshFiles, type MeshFiles } from './tls-files.ts'
import { TalkingServer } from './tls-talk.ts'

/** Flags of a key that is `byte` over and over, in a file of its own. */
async function psk({ directory }: MeshFiles, byte: string, identity = 'meter 7'): Promise<string[]> {
  const path = join(directory, `psk-${byte}`)
  await writeFile(path, `${byte.repeat(32)}\n`, { mode: 0o600 })
  return ['--psk-identity', identity, '--psk-file', path]
}

async function start(
  t: TestContext,
  ...more: readonly string[]
): Promise<{ readonly files: MeshFiles; readonly key: string[]; readonly server: TalkingServer }> {
  const files = await meshFiles(t)
  const key = await psk(files, 'ab')
  return { files, key, server: await TalkingServer.start(t, [...key, ...more]) }
}

test('tls connect and tls serve rest on a pre-shared key, claim no name, and resume that too', async (t) => {
  const { key, server, files } = await start(t, '--early-data', '100')
  const sessions = join(files.directory, 'sessions')
  const first = await server.talk([...key, '--session-out', sessions])
  assert.equal(first.stdout, 'word\n')
  const second = await server.talk([...key, '--session-in', sessions, '--early-data', '-'])
  assert.equal(second.stdout, 'word\n')
  for (const [{ client, server: told }, resumed] of [
    [first, false],
    [second, true],
  ] as const)
    for (const { settled, stages } of [client, told]) {
      assert.equal(settled['externalPsk'], '"meter 7"')
      assert.equal(settled.peer, undefined)
      assert.equal(settled.resumed, resumed)
      assert.match(stages[2]!.answer!, /^not by name: both hold the pre-shared key "meter 7"/)
    }
  assert.equal(first.server.settled.ticket, undefined, 'a key that was given beforehand is no ticket')
  assert.equal(second.client.settled.earlyData?.outcome, 'accepted')
  assert.match(server.cli.stderr, /client with the pre-shared key "meter 7"/)
})

test('tls connect by a pre-shared key goes through a HelloRetryRequest', async (t) => {
  const { key, server } = await start(t, '--groups', 'secp384r1', '--psk-hash', 'sha384')
  const { stdout, client } = await server.talk([...key, '--psk-hash', 'sha384'])
  assert.equal(stdout, 'word\n')
  assert.deepEqual(client.settled['retry'], { group: 'secp384r1', cookie: false })
})

test('tls connect by a wrong pre-shared key is refused, and both sides say why', async (t) => {
  const { key, server, files } = await start(t)
  const rows: readonly [readonly string[], RegExp, string][] = [
    [await psk(files, 'cd'), /alert decrypt_error/, 'TLS_BAD_BINDER'],
    [[...key, '--psk-hash', 'sha384'], /alert decrypt_error/, 'TLS_BAD_BINDER'],
    [await psk(files, 'ab', 'meter 8'), /alert handshake_failure/, 'TLS_NO_COMMON_PSK'],
    [['--ca', files.ca], /alert handshake_failure/, 'TLS_NO_COMMON_PSK'],
  ]
  for (const [flags, alert, code] of rows) {
    const { code: exit, stdout, client, server: told } = await server.talk(flags)
    assert.deepEqual([exit, stdout], [1, ''])
    assert.match(client.failure!.message, alert)
    assert.equal(told.failure?.code, code)
    assert.equal(told.outcome, 'refused')
  }
})

test('tls serve with a key and a certificate lets clients come by either', async (t) => {
  const files = await meshFiles(t)
  const key = await psk(files, 'ab')
  const server = await TalkingServer.start(t, [...key, ...files.catalog])
  const sessions = join(files.directory, 'sessions')
  const byKey = await server.talk([...key, '--session-out', sessions])
  assert.equal(byKey.client.settled['externalPsk'], '"meter 7"')
  const byCertificate = await server.talk(['--ca', files.ca, '--session-in', sessions])
  assert.equal(byCertificate.stdout, 'word\n')
  assert.equal(byCertificate.client.settled['externalPsk'], undefined)
  assert.deepEqual(byCertificate.client.settled.ticket, { outcome: 'withheld', reason: 'external_psk_gone' })
})

test('tls connect and tls serve renew their keys when asked to, and tell how often', async (t) => {
  const { key, server } = await start(t)
  const asked = await server.talk([...key, '--key-update'])
  assert.equal(asked.stdout, 'word\n')
  assert.deepEqual(asked.client.settled['keyUpdates'], { client: 1, server: 1 })
  assert.deepEqual(asked.server.settled['keyUpdates'], { client: 1, server: 1 })
  assert.match(server.cli.stderr, /closed; bytes echoed: 5; KeyUpdates: 1 by the client, 1 by the server\n$/)
})
