import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { peerCredentials } from '../../src/native/peer-credentials.ts'
import { loadSockets } from '../../src/native/sockets.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const found = loadSockets()
const skip = found.kind === 'missing' ? found.reason : false

test(
  'peerCredentials names the process at the other end of a Unix socket, and nobody for other files',
  { skip },
  async (t) => {
    assert.ok(found.kind === 'available')
    const path = join(await temporaryDirectory(t), 'socket')
    const server = createServer().listen(path)
    t.after(() => server.close())
    await once(server, 'listening')
    const connect = `require('node:net').connect(${JSON.stringify(path)})`
    const child = spawn(process.execPath, ['-e', connect])
    t.after(() => child.kill('SIGKILL'))
    const [socket] = (await once(server, 'connection')) as [
      Socket & { readonly _handle: { readonly fd: number } },
    ]
    t.after(() => socket.destroy())
    const { system } = found.sockets
    const expected = { pid: child.pid, uid: process.geteuid!(), gid: process.getegid!() }
    assert.deepEqual(peerCredentials(system, socket._handle.fd), expected)
    await using file = await open(import.meta.filename)
    assert.equal(peerCredentials(system, file.fd), undefined)
  },
)
