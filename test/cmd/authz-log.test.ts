import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { decodeFlightLine } from '../../src/authz/flight/decode.ts'
import { formatAddress } from '../../src/config/address.ts'
import { httpApp } from '../support/apps.ts'
import { fetchFrom, worldOf } from '../support/proxy-world.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Cli, runCli } from './cli.ts'

test('handfast authz log prints what a proxy has decided, and follows it into a file that is nobody else’s', async (t) => {
  const app = await httpApp(t, (_incoming, response) => response.end('ok'))
  const { catalog, entry } = await worldOf(t, { protocol: 'http', app: app.address })
  await fetchFrom(entry, { path: '/one' })
  const admin = ['--admin', formatAddress(catalog.admin)]
  const { code, stdout } = await runCli(t, ['authz', 'log', ...admin])
  assert.equal(code, 0)
  const lines = stdout.trimEnd().split('\n').map(decodeFlightLine)
  assert.deepEqual(
    lines.map(({ kind }) => kind),
    ['proxy', 'policy', 'decision'],
  )

  const output = join(await temporaryDirectory(t), 'flight.jsonl')
  const follower = new Cli(t, ['authz', 'log', ...admin, '--follow', '--output', output])
  const written = async (): Promise<string> => readFile(output, 'utf8').catch(() => '')
  while (!(await written()).includes('/one')) await new Promise((resolve) => setTimeout(resolve, 20))
  await fetchFrom(entry, { path: '/two' })
  while (!(await written()).includes('/two')) await new Promise((resolve) => setTimeout(resolve, 20))
  follower.child.kill('SIGINT')
  assert.equal((await follower.ended()).code, 0)
  assert.equal((await stat(output)).mode & 0o777, 0o600)
  assert.equal((await written()).trimEnd().split('\n').map(decodeFlightLine).length, 4)
})

test('handfast authz log says where it looked for a proxy that is away', async (t) => {
  const { code, stderr } = await runCli(t, ['authz', 'log', '--admin', '127.0.0.1:1'])
  assert.equal(code, 1)
  assert.match(
    stderr,
    /^handfast: COMMAND_ADMIN_AWAY: No proxy answers at 127\.0\.0\.1:1: .*--admin says where/,
  )
})
