import assert from 'node:assert/strict'
import test from 'node:test'
import type { Address } from '../../../src/config/address.ts'
import type { Connection, Transport } from '../../../src/net/transport.ts'
import { LoopGuard } from '../../../src/proxy/capture/loop-guard.ts'

const TO: Address = { host: '192.0.2.9', port: 80 }
const LOOP = { code: 'PROXY_BAD_DESTINATION', message: /--proxy-uid/ }

/** A transport whose connections all come from one address. */
function connectingFrom(port: number, aborted: { count: number } = { count: 0 }): Transport {
  const connection = { local: { host: '10.0.0.2', port }, remote: TO, abort: () => aborted.count++ }
  return {
    name: 'fake',
    listen: () => Promise.reject(new Error('Not here')),
    connect: () => Promise.resolve(connection as unknown as Connection),
  }
}

function arriving(port: number): Pick<Connection, 'remote'> {
  return { remote: { host: '10.0.0.2', port } }
}

test('LoopGuard admits connections of others, whichever ports they share with ours', async () => {
  const guard = new LoopGuard()
  const transport = guard.over(connectingFrom(50_000))
  guard.admit(arriving(40_000), TO)
  await transport.connect(TO, { timeoutMs: 1 })
  guard.admit(arriving(40_001), TO)
  // The same port of ours, towards somebody else.
  guard.admit(arriving(50_000), { ...TO, port: 81 })
})

test('LoopGuard notices a connection of ours that comes back, whichever end of it is seen first', async () => {
  const opened = new LoopGuard()
  await opened.over(connectingFrom(50_000)).connect(TO, { timeoutMs: 1 })
  assert.throws(() => opened.admit(arriving(50_000), TO), LOOP)
  const aborted = { count: 0 }
  const accepted = new LoopGuard()
  accepted.admit(arriving(50_000), TO)
  await assert.rejects(accepted.over(connectingFrom(50_000, aborted)).connect(TO, { timeoutMs: 1 }), LOOP)
  assert.equal(aborted.count, 1)
})

test('LoopGuard refuses everything for a second after that, and then begins anew', async () => {
  let nowMs = 0
  const guard = new LoopGuard(() => nowMs)
  await guard.over(connectingFrom(50_000)).connect(TO, { timeoutMs: 1 })
  nowMs = 200
  assert.throws(() => guard.admit(arriving(50_000), TO), LOOP)
  nowMs = 1_100
  assert.throws(() => guard.admit(arriving(40_000), TO), LOOP)
  nowMs = 1_200
  guard.admit(arriving(40_000), TO)
  // What was opened so long ago may be somebody else's by now.
  guard.admit(arriving(50_000), TO)
})
