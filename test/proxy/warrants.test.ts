import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Permit } from '../../src/authz/decide.ts'
import type { SecureConnection } from '../../src/net/engine-connection.ts'
import { nodeTransport } from '../../src/net/node-transport.ts'
import type { Connection } from '../../src/net/transport.ts'
import { PassThrough } from '../../src/proxy/capture/pass-through.ts'
import { checkWarrant } from '../../src/proxy/http-forward.ts'
import { ProvenPeer } from '../../src/proxy/proven-peer.ts'
import { pump } from '../../src/proxy/pump.ts'
import { idOf, LOOPBACK } from '../support/proxy-world.ts'
import { RecordedConnection } from '../support/recorded-connection.ts'

const FORGED = { kind: 'permit', id: 'x', policy: 'p', rule: 0, revision: 'r', cause: 'allowed', reason: '' }

async function pair(t: TestContext): Promise<[Connection, Connection]> {
  const accepted = Promise.withResolvers<Connection>()
  const listener = await nodeTransport.listen(LOOPBACK, accepted.resolve)
  const near = await nodeTransport.connect(listener.address, { timeoutMs: 5_000 })
  const far = await accepted.promise
  t.after(async () => {
    near.abort()
    far.abort()
    await listener.close()
  })
  return [near, far]
}

function session(name: string | undefined): SecureConnection {
  return { session: { peer: name === undefined ? undefined : { name } } } as unknown as SecureConnection
}

test('pump moves nothing for what only looks like a permit, and aborts both connections', async (t) => {
  const [client, clientFar] = await pair(t)
  const [server, serverFar] = await pair(t)
  const [a, b] = [new RecordedConnection(clientFar), new RecordedConnection(serverFar)]
  clientFar.write(Buffer.from('let me in'))
  await assert.rejects(pump(FORGED as unknown as Permit, client, server), { code: 'PROXY_UNPROVEN_PEER' })
  assert.equal((await a.closed)?.code, 'NET_RESET')
  assert.equal((await b.closed)?.code, 'NET_RESET')
  assert.equal(b.bytes, 0)
})

test('ProvenPeer.of takes exactly the expected identity from the session', () => {
  assert.equal(ProvenPeer.of(session(idOf('catalog')), idOf('catalog')).name, idOf('catalog'))
  for (const other of [idOf('catalog2'), idOf('catalo'), undefined]) {
    assert.throws(() => ProvenPeer.of(session(other), idOf('catalog')), { code: 'PROXY_UNPROVEN_PEER' })
  }
  assert.ok(!ProvenPeer.is({ kind: 'proven-peer', name: idOf('catalog') }))
})

test('PassThrough.is takes what a directory gave and nothing that merely looks like it', () => {
  assert.ok(PassThrough.is(new PassThrough()))
  for (const forged of [{ kind: 'pass-through' }, Object.create(PassThrough.prototype), undefined])
    assert.ok(!PassThrough.is(forged))
})

test('checkWarrant refuses what only looks like a permit', () => {
  assert.throws(() => checkWarrant(FORGED as unknown as Permit), { code: 'PROXY_UNPROVEN_PEER' })
})
