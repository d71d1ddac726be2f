import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { OutageReport } from '../../src/cmd/controller/outage-report.ts'
import { runCli } from './cli.ts'
import { line, lines } from './mesh.ts'
import { meshWithTraffic, traffic } from './rotating-mesh.ts'

const IDLE = '  inbound: [{ name: in, listen: 127.0.0.1:0, forward: 127.0.0.1:1, protocol: tcp }]'

test('handfast controller as two replicas rotates under traffic, counts the proxies of both, and goes on under the other when the leader is killed', async (t) => {
  const { mesh, entry, second } = await meshWithTraffic(t, { second: 'b' })
  const { stateDir, controller: first } = mesh
  const running = traffic(t, entry)
  assert.equal((await line(first, 'ready'))['leads'], true)
  assert.equal((await line(second!.cli, 'ready'))['leads'], false)

  // Somebody of the replica that follows, who stays connected and says nothing.
  const idle = await mesh.sidecar('idle', IDLE, [second!.address])
  await line(idle, 'State applied')
  while ((await mesh.report('status')).connected < 3) await sleep(100)
  idle.child.kill('SIGSTOP')
  assert.equal((await mesh.report('prepare')).next?.number, 2)
  await sleep(1_000)
  const refused = await mesh.rotate('activate')
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /CA_ROTATION_WAITS: Cannot activate: waiting for .*\/sa\/idle on /)
  idle.child.kill('SIGCONT')
  await mesh.step('activate', 3)

  const budget = await runCli(t, ['ca', 'outage-budget', '--state-dir', stateDir, '--json'])
  const { counts, source } = JSON.parse(budget.stdout) as OutageReport
  assert.deepEqual([source, counts.connected], ['controller', 3], 'the proxies of both')

  await mesh.kill()
  assert.equal((await line(second!.cli, 'Leading'))['term'], 2)
  const taken = await mesh.report('status')
  assert.deepEqual([taken.stage, taken.next?.signs], ['active', true])
  await mesh.step('taint', 3)
  // The one that was killed comes back, and follows.
  await mesh.start()
  assert.equal((await line(mesh.controller, 'ready'))['leads'], false)
  const removed = await mesh.step('remove', 3)
  assert.deepEqual([removed.stage, removed.current.number], ['none', 2])

  const { done, failures } = await running.stop()
  assert.deepEqual(failures, [])
  assert.ok(done > 100, `${done} requests`)
  t.diagnostic(`${done} requests, each over a connection of its own, none failed`)

  // Each was told of certificates that the other has issued, and has found them in its journal.
  for (const cli of [mesh.controller, second!.cli])
    assert.ok(!cli.stdout.includes('somebody else signs with our key'))

  const verified = await runCli(t, ['ca', 'journal', 'verify', '--journal', stateDir])
  assert.equal(verified.code, 0, verified.stderr)
  assert.equal(verified.stdout.match(/^Intact: /gm)?.length, 2, 'a journal of each')
  assert.match(verified.stdout, /replicas\/b\/journal\/log\.jsonl/)
  const found = await runCli(t, [
    'ca',
    'journal',
    'find',
    '--journal',
    stateDir,
    '--outcome',
    'issued',
    '--json',
  ])
  const entries = found.stdout
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as Record<string, string>)
  const times = entries.map(({ time }) => time)
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a!.localeCompare(b!)),
    'in their order',
  )
  const own = await runCli(t, [
    'ca',
    'journal',
    'find',
    '--journal',
    join(stateDir, 'replicas/b'),
    '--outcome',
    'issued',
    '--json',
  ])
  const [entryOfB] = own.stdout
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as Record<string, string>)
  const serial = String(entryOfB?.['serialNumber'])
  const proof = await runCli(t, ['ca', 'journal', 'prove', '--journal', stateDir, '--serial', serial])
  assert.equal(proof.code, 0, proof.stderr)
  assert.match(proof.stdout, new RegExp(serial))
})

test('handfast controller that is stopped sends its proxies and its lead to the other at once', async (t) => {
  const { mesh, entry, second } = await meshWithTraffic(t, { second: 'b' })
  const running = traffic(t, entry)
  const lone = await mesh.sidecar('lone', IDLE, [mesh.address, second!.address])
  await line(lone, 'State applied')
  const { controller: first } = mesh
  first.child.kill('SIGTERM')
  const [code] = await once(first.child, 'exit')
  assert.equal(code, 0, first.stderr)
  await line(second!.cli, 'Leading')
  while ((await mesh.report('status')).connected < 3) await sleep(50)
  for (const { retryInMs } of lines(lone, 'The controller is away; what it said last stays in force'))
    assert.ok(Number(retryInMs) <= 500, 'it did not wait for the back-off')
  const { failures } = await running.stop()
  assert.deepEqual(failures, [])
})

test('handfast ca revoke at the controller that leads reaches the proxies of the other', async (t) => {
  const { mesh, second } = await meshWithTraffic(t, { second: 'b' })
  const lone = await mesh.sidecar('lone', IDLE, [second!.address])
  await line(lone, 'State applied')
  const before = lines(lone, 'State applied').length
  const gone = 'spiffe://example.org/ns/shop/sa/gone'
  const command = ['ca', 'revoke', '--spiffe-id', gone, '--state-dir', mesh.stateDir]
  const { code, stderr } = await runCli(t, command)
  assert.equal(code, 0, stderr)
  while (lines(lone, 'State applied').length === before) await sleep(20)
  assert.equal(lines(second!.cli, 'Revocations changed').length, 1)
})

test('handfast controller with the name of one that runs is refused', async (t) => {
  const { mesh } = await meshWithTraffic(t)
  const { code, stderr } = await runCli(t, ['controller', '--config', mesh.config, '--listen', '127.0.0.1:0'])
  assert.equal(code, 1)
  assert.match(stderr, /CA_STORE_LOCKED: .* is in use by another controller; .* another --replica name/)
})
