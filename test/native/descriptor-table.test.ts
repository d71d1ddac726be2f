import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import test from 'node:test'
import {
  createDescriptorTable,
  resetDescriptors,
  trackDescriptors,
} from '../../src/native/descriptor-table.ts'
import { loadSockets } from '../../src/native/sockets.ts'
import { epollTransport } from '../../src/net/epoll-transport.ts'
import type { Connection } from '../../src/net/transport.ts'

test('resetDescriptors closes what a thread left open, and resets connections', async (t) => {
  const found = loadSockets()
  if (found.kind === 'missing') {
    t.skip(found.reason)
    return
  }
  const table = createDescriptorTable()
  const transport = epollTransport(trackDescriptors(found.sockets, table))
  const accepted = Promise.withResolvers<Connection>()
  const { address } = await transport.listen({ host: '127.0.0.1', port: 0 }, accepted.resolve)
  const ended = connect({ ...address })
  ended.on('error', () => {})
  await accepted.promise
  const closed = await transport.connect(address, { timeoutMs: 5_000 })
  closed.abort()
  // As if the thread had gone: nobody closes anything, and nobody is called.
  transport[Symbol.dispose]?.()
  const broken = new Promise<boolean>((resolve) => ended.once('close', resolve))
  const count = resetDescriptors(found.sockets.system, table)
  // The listener and its connections; what was closed in order is not counted.
  assert.ok(count >= 2 && count <= 3, `${count} descriptors were open`)
  assert.equal(await broken, true)
  const refused = connect({ ...address })
  const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException]
  assert.equal(error.code, 'ECONNREFUSED')
  assert.equal(resetDescriptors(found.sockets.system, table), 0)
})
