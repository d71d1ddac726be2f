import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'node:test'
import type { OutageReport } from '../../src/cmd/controller/outage-report.ts'
import { runCli } from './cli.ts'
import { DOMAIN, line, startMesh } from './mesh.ts'

const ID = `spiffe://${DOMAIN}/ns/shop/sa/web`

test('handfast ca outage-budget says who fails first: by the controller while it is there, by its journal when it is not', async (t) => {
  const mesh = await startMesh(t)
  const stateDir = join(mesh.directory, 'state')
  const web = await mesh.sidecar(
    'web',
    `  outbound: [{ name: out, listen: 127.0.0.1:0, connect: 127.0.0.1:1, peer: "${ID}", protocol: tcp }]`,
  )
  await line(web, 'State applied')
  const issued = await line(web, 'Certificate issued')
  const failsAtMs = Date.parse(String(issued['expiresAt']))

  const report = async (...flags: readonly string[]): Promise<OutageReport & { readonly stderr: string }> => {
    const { code, stdout, stderr } = await runCli(t, ['ca', 'outage-budget', ...flags, '--json'])
    assert.equal(code, 0, stderr)
    return { ...(JSON.parse(stdout) as OutageReport), stderr }
  }
  const asked = await report('--state-dir', stateDir)
  assert.equal(asked.source, 'controller')
  assert.equal(Date.parse(asked.first!.failsAt), failsAtMs)
  assert.deepEqual([asked.first!.spiffeId, asked.first!.connected], [ID, true])
  assert.deepEqual(asked.counts, { inUse: 1, connected: 1, overdue: 0, forsaken: 0 })
  assert.equal(asked.inUse.length, 1)
  assert.deepEqual((await report('--state-dir', stateDir, '--limit', '0')).inUse, [])

  const { code, stdout } = await runCli(t, ['ca', 'outage-budget', '--state-dir', stateDir])
  assert.equal(code, 0)
  assert.match(
    stdout,
    /^If the controller died now, the first to fail would be .*sa\/web on \S+, in (?:1h|59m)/,
  )
  assert.match(stdout, /Workloads that start or restart while the controller is down get no certificate/)

  const { child: controller } = mesh.cli
  controller.kill('SIGKILL')
  await once(controller, 'exit')
  const read = await report('--state-dir', stateDir)
  assert.match(read.stderr, /No controller answers .*\nThe journal tells what it knows/)
  assert.equal(read.source, 'journal')
  assert.equal(read.first!.failsAt, asked.first!.failsAt)
  assert.deepEqual([read.first!.connected, read.first!.serialNumber], [false, asked.first!.serialNumber])
  assert.equal((await report('--journal', join(stateDir, 'journal/log.jsonl'))).stderr, '')
})

test('handfast ca outage-budget takes either a controller or a journal, and says what it expects', async (t) => {
  for (const args of [
    [],
    ['--journal', 'x', '--state-dir', 'y'],
    ['--state-dir', 'y', '--limit', '301'],
  ] as const) {
    const { code, stderr } = await runCli(t, ['ca', 'outage-budget', ...args])
    assert.equal(code, 2, args.join(' '))
    assert.match(stderr, /COMMAND_USAGE: --(?:journal|state-dir|limit): expected/)
  }
})
