import assert from 'node:assert/strict'
import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { CATALOG, meshFiles } from '../cmd/tls-files.ts'
import { PeerProcess } from '../support/peers.ts'
import { opensslFlags, opensslPath } from './peers/openssl.ts'
import { messagesOf, reportIn } from './reports.ts'
import { connectTo, opensslClient, serveOnce, WITHOUT_OPENSSL } from './tools.ts'

const skip = WITHOUT_OPENSSL

test(
  'tls serve declines early data that OpenSSL sends a server of other tickets, and goes on',
  { skip },
  async (t) => {
    const files = await meshFiles(t)
    const session = join(files.directory, 'session')
    const early = join(files.directory, 'early')
    await writeFile(early, 'said early\n')
    const args = [...files.catalog, '--ca', files.ca, '--require-client-cert', '--early-data', '4096']
    const flags = opensslFlags(files, files.web)

    const first = await serveOnce(t, args)
    const full = opensslClient(t, first.port, flags, '-sess_out', session)
    full.write('first\n')
    await full.saw(/^first$/m, 'stdout')
    full.write('Q\n')
    assert.equal((await first.process.ended()).code, 0)

    const second = await serveOnce(t, args)
    const declined = opensslClient(t, second.port, flags, '-sess_in', session, '-early_data', early)
    declined.write('said late\n')
    await declined.saw(/^said late$/m, 'stdout')
    declined.write('Q\n')
    const { stdout } = await declined.ended()
    assert.match(stdout, /^Early data was rejected$/m)
    assert.match(stdout, /^New, TLSv1\.3/m)
    const served = await second.process.ended()
    assert.equal(served.code, 0, served.stderr)
    assert.match(served.stderr, /closed; bytes echoed: 10$/m)
    const messages = messagesOf(reportIn(served.stdout))
    assert.ok(messages.includes('client Certificate') && !messages.includes('client EndOfEarlyData'))
  },
)

test(
  'tls connect says again what OpenSSL declines to take early, as for a ticket used twice',
  { skip },
  async (t) => {
    const files = await meshFiles(t)
    const server = new PeerProcess(t, 'stdbuf', [
      ['-oL', opensslPath(), 's_server', '-accept', '127.0.0.1:0', '-verify', '4'],
      ['-early_data', '-max_early_data', '4096', ...opensslFlags(files, files.catalog)],
    ])
    const [, port] = await server.saw(/^ACCEPT \S+:(\d+)$/m, 'stdout')
    const kept = join(files.directory, 'sessions')
    const copy = join(files.directory, 'copy')
    const early = join(files.directory, 'early')
    await writeFile(early, 'said early\n')
    const flags = [
      '--ca',
      files.ca,
      '--spiffe-id',
      CATALOG,
      ...files.web,
      '--servername',
      'localhost',
      '--json',
    ]

    const say = async (word: string, ...more: readonly string[]): Promise<readonly string[]> => {
      const before = server.stdout.length
      const client = connectTo(t, Number(port), flags, more)
      client.write(`${word}\n`)
      await server.saw(new RegExp(`^${word}$`, 'm'), 'stdout', before)
      client.end()
      const { code, stderr } = await client.ended()
      assert.equal(code, 0, stderr)
      assert.equal(more.includes(early), server.stdout.slice(before).includes('said early\n'))
      return messagesOf(reportIn(stderr))
    }
    await say('first', '--session-out', kept)
    await copyFile(kept, copy)
    const taken = await say('second', '--session-in', kept, '--early-data', early)
    assert.ok(taken.includes('client EndOfEarlyData'))
    const declined = await say('third', '--session-in', copy, '--early-data', early)
    assert.ok(declined.includes('server Certificate') && !declined.includes('client EndOfEarlyData'))
  },
)
