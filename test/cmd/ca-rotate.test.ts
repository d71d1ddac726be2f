import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { line } from './mesh.ts'
import { meshWithTraffic, traffic } from './rotating-mesh.ts'

test('handfast ca rotate replaces root and intermediate under traffic, though the controller is killed at every step and a proxy lags', async (t) => {
  const { mesh, entry } = await meshWithTraffic(t)
  const state = join(mesh.directory, 'state')
  const oldBundle = await readFile(join(state, 'trust-bundle.pem'), 'utf8')
  const running = traffic(t, entry)

  const restart = async (): Promise<void> => {
    await mesh.kill()
    await mesh.start()
  }
  assert.equal((await mesh.report('status')).stage, 'none')
  assert.equal((await mesh.report('prepare')).next?.number, 2)
  await restart()
  await mesh.step('activate', 2)
  await restart()
  assert.deepEqual(
    [(await mesh.report('status')).stage, (await mesh.report('status')).next?.signs],
    ['active', true],
  )
  // Somebody who stays connected and says nothing.
  const idle = await mesh.sidecar(
    'idle',
    '  inbound: [{ name: in, listen: 127.0.0.1:0, forward: 127.0.0.1:1, protocol: tcp }]',
  )
  await line(idle, 'State applied')
  while ((await mesh.report('status')).connected < 3) await sleep(100)
  idle.child.kill('SIGSTOP')
  await mesh.step('taint', 3)
  const refused = await mesh.rotate('remove', '--abandon-absent')
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /CA_ROTATION_WAITS: Cannot remove: waiting for .*\/sa\/idle on /)
  idle.child.kill('SIGCONT')
  await restart()

  const removed = await mesh.step('remove', 3)
  assert.deepEqual([removed.stage, removed.current.number, removed.connected], ['none', 2, 3])
  await restart()
  assert.equal((await mesh.report('status')).current.number, 2)
  const { done, failures } = await running.stop()
  assert.deepEqual(failures, [])
  assert.ok(done > 100, `${done} requests`)
  assert.notEqual(await readFile(join(state, 'trust-bundle.pem'), 'utf8'), oldBundle)
  const kept = (await readdir(join(state, 'ca'))).sort()
  assert.deepEqual(kept, ['intermediate-2.pem', 'jwt-keys.json', 'root-2.pem', 'rotation.json'])
  t.diagnostic(`${done} requests, each over a connection of its own, none failed`)
})
