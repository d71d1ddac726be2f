import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { CaError } from '../../src/ca/errors.ts'
import { MAX_MESSAGE_BYTES } from '../../src/cmd/controller/admin-message.ts'
import { type AdminHandler, adminSocketPath, listenForAdmin } from '../../src/cmd/controller/admin-socket.ts'
import { askController } from '../../src/cmd/controller/ask-controller.ts'
import { MemoryLog } from '../support/memory-log.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { runCli } from './cli.ts'

const log = new MemoryLog()

function listen(stateDir: string, echo: AdminHandler = async (request) => request): Promise<AsyncDisposable> {
  return listenForAdmin(stateDir, { handlers: { echo }, log })
}

test('listenForAdmin takes commands on a socket that only its owner can reach, also where a crash has left one', async (t) => {
  const stateDir = await temporaryDirectory(t)
  const first = await listen(stateDir)
  const request = { verb: 'echo', text: 'ä'.repeat(1_000) }
  assert.deepEqual(await askController(stateDir, request), request)
  assert.equal((await stat(adminSocketPath(stateDir))).mode & 0o777, 0o600)
  assert.equal((await stat(join(stateDir, 'admin'))).mode & 0o777, 0o700)
  await first[Symbol.asyncDispose]()
  await writeFile(adminSocketPath(stateDir), '')
  await using _second = await listen(stateDir)
  assert.deepEqual(await askController(stateDir, request), request)
})

test('listenForAdmin refuses a directory that others may enter, and a path with no room for a socket', async (t) => {
  const stateDir = await temporaryDirectory(t)
  await using first = await listen(stateDir)
  await first[Symbol.asyncDispose]()
  await chmod(join(stateDir, 'admin'), 0o755)
  await assert.rejects(listen(stateDir), { code: 'CA_STORE_PERMISSIONS' })
  await assert.rejects(listen(join(stateDir, 'x'.repeat(100))), {
    code: 'CONFIG_INVALID',
    message: /spec\.stateDir.*at most 94 bytes/,
  })
})

test('askController throws what the controller refuses with', async (t) => {
  const stateDir = await temporaryDirectory(t)
  await using _server = await listen(stateDir, () =>
    Promise.reject(new CaError('CA_ROTATION_WAITS', 'Cannot remove: waiting for web')),
  )
  await assert.rejects(askController(stateDir, { verb: 'echo' }), {
    code: 'CA_ROTATION_WAITS',
    message: 'Cannot remove: waiting for web',
  })
  await assert.rejects(askController(stateDir, { verb: 'toString' }), /knows no command toString/)
})

test('listenForAdmin survives whatever is sent to it', async (t) => {
  const stateDir = await temporaryDirectory(t)
  await using _server = await listen(stateDir)
  for (const nonsense of ['', '\n', 'null\n', '[1\n', `"${'x'.repeat(MAX_MESSAGE_BYTES)}"`]) {
    const socket = connect(adminSocketPath(stateDir))
    socket.on('error', () => {})
    socket.resume().end(nonsense)
    await once(socket, 'close')
  }
  assert.deepEqual(await askController(stateDir, { verb: 'echo' }), { verb: 'echo' })
})

test('handfast ca rotate says that no controller answers, and refuses what is no step', async (t) => {
  const stateDir = await temporaryDirectory(t)
  const away = await runCli(t, ['ca', 'rotate', 'status', '--state-dir', stateDir])
  assert.equal(away.code, 1)
  assert.match(away.stderr, /CA_CONTROLLER_AWAY: No controller answers at .*is it running/)
  for (const [args, complaint] of [
    [['spin', '--state-dir', stateDir], /Expected one of status, prepare/],
    [[], /Missing argument: expected ACTION/],
    [['status'], /--state-dir: expected a directory/],
  ] as const) {
    const { code, stderr } = await runCli(t, ['ca', 'rotate', ...args])
    assert.equal(code, 2, stderr)
    assert.match(stderr, complaint)
  }
})
