import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { parseAddress } from '../../../src/config/address.ts'
import { RunningDemo } from './running-demo.ts'

const ROOT = join(import.meta.dirname, '../../..')

const hasCurl = spawnSync('curl', ['--version']).status === 0

test('demo keeps running after its steps, every command it prints works, and Ctrl-C ends it all', async (t) => {
  const demo = await RunningDemo.start(t)
  await demo.saw(/All of it runs until Ctrl-C[^]*shop\.yaml\.bak [^]*\n/)
  const outputs = hasCurl ? await runAll(demo) : undefined
  if (outputs === undefined) t.diagnostic('curl is absent: the commands were not run')
  else checkOutputs(outputs)

  demo.signal('SIGINT')
  assert.equal(await demo.ended, 0)
  assert.match(demo.stdout, /\nStopping every process …\nStopped; nothing is left behind\.\n$/)
  assert.equal(demo.stderr, '')
  assert.deepEqual(await readdir(demo.directory), [])
  assert.ok(demo.addresses.length >= 6)
  for (const address of demo.addresses) assert.equal(await answers(address), false, address)
})

test('demo that is stopped in its steps ends all the same', async (t) => {
  const demo = await RunningDemo.start(t)
  await demo.saw(/✔ step 1 held/)
  demo.signal('SIGTERM')
  assert.equal(await demo.ended, 0)
  assert.deepEqual(await readdir(demo.directory), [])
  for (const address of demo.addresses) assert.equal(await answers(address), false, address)
})

/** The commands as they are printed, in order, each with what it wrote. */
async function runAll(demo: RunningDemo): Promise<ReadonlyMap<string, string>> {
  const [, invitation = ''] = demo.stdout.split('Your turn')
  const commands = invitation
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^(curl|sed|mv|\S*node\S*) /.test(line))
  const outputs = new Map<string, string>()
  for (const command of commands) {
    const changes = demo.stdout.match(/in force in/g)?.length ?? 0
    const { stdout, stderr } = spawnSync('sh', ['-c', command], { cwd: ROOT, encoding: 'utf8' })
    outputs.set(command, stdout + stderr)
    if (/^(sed|mv) /.test(command)) await demo.saw(new RegExp(`(in force in[^]*){${changes + 1}}`))
  }
  return outputs
}

function checkOutputs(outputs: ReadonlyMap<string, string>): void {
  const wanted: readonly (readonly [command: RegExp, output: RegExp])[] = [
    [/^curl http:\S+$/, /<li>kettle, 24\.00<\/li>/],
    [/^curl -i \S+\/items$/, /403 Forbidden[^]*"decision":/],
    [/decisions/, /"kind": "denial"[^]*sa\/intruder/],
    [/tls connect/, /✗ The client must show a certificate|certificate_required/],
    [/handshakes$/, /"outcome": "established"/],
    [/explain\?/, /as the server saw it[^]*✓ established/],
    [/svid/, /sa\/web/],
    [/^sed/, /^$/],
    [/-X DELETE/, /200 OK[^]*"deleted"/],
    [/^mv/, /^$/],
  ]
  assert.equal(outputs.size, wanted.length)
  for (const [index, [command, output]] of [...outputs].entries()) {
    assert.match(command, wanted[index]![0])
    assert.match(output, wanted[index]![1])
  }
}

async function answers(address: string): Promise<boolean> {
  const socket = connect(parseAddress(address)!)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
