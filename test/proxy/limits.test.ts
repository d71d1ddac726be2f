import assert from 'node:assert/strict'
import test from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { ThreadReport } from '../../src/proxy/threads/data-planes.ts'
import { dial, outcomeOf, tcpApp } from '../support/apps.ts'
import { mintTrustDomain } from '../support/certificates.ts'
import {
  allow,
  fetchFrom,
  LOOPBACK,
  mint,
  policy,
  proxyOf,
  worldOf,
  type TestProxy,
} from '../support/proxy-world.ts'

async function threadOf(proxy: TestProxy): Promise<ThreadReport> {
  const { text } = await fetchFrom(proxy.admin, { path: '/threads' })
  return (JSON.parse(text) as ThreadReport[])[0]!
}

test('proxy resets connections beyond the limit of a listener, goes on with those it has, and takes new ones when they go', async (t) => {
  const app = await tcpApp(t, (socket) => void socket.pipe(socket))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address, limits: { connections: 2 } })
  const [first, second] = [await dial(t, world.entry), await dial(t, world.entry)]
  for (const socket of [first, second]) {
    socket.write('x')
    await new Promise((resolve) => socket.once('data', resolve))
  }
  const third = await dial(t, world.entry)
  assert.equal((await outcomeOf(third)).error, 'ECONNRESET')
  assert.deepEqual((await threadOf(world.web)).listeners, { 'to-catalog': { open: 2, refused: 1 } })
  const [warning] = await world.web.log.saw('Cannot accept a connection')
  assert.equal((warning!.fields['error'] as { code: string }).code, 'NET_CONNECTION_LIMIT')
  first.end()
  assert.deepEqual(await outcomeOf(first), { text: '' })
  for (;;) {
    const { listeners } = await threadOf(world.web)
    if (listeners!['to-catalog']!.open < 2) break
  }
  const next = await dial(t, world.entry)
  next.end('again')
  assert.deepEqual(await outcomeOf(next), { text: 'again' })
})

test('proxy keeps handshakes beyond the limit waiting, and serves them when their turn comes', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('welcome'))
  const world = await worldOf(t, {
    protocol: 'tcp',
    app: app.address,
    limits: { handshakes: 1 },
  })
  // A client that says nothing holds the only slot.
  const silent = await dial(t, world.gate)
  for (;;) if ((await threadOf(world.catalog)).counters.handshakes === 1) break
  const waiting = outcomeOf(await dial(t, world.entry))
  for (;;) if ((await threadOf(world.catalog)).counters.waiting === 1) break
  silent.destroy()
  assert.deepEqual(await waiting, { text: 'welcome' })
  const { counters } = await threadOf(world.catalog)
  assert.deepEqual([counters.handshakes, counters.waiting, counters.lateHandshakes], [0, 0, 0])
})

test('proxy lets nobody wait for a handshake longer than a handshake may take', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('secret'))
  const domain = await mintTrustDomain()
  const proxy = await proxyOf(t, {
    handshakeTimeoutMs: 300,
    limits: { handshakes: 1 },
    inbound: [{ name: 'in', listen: LOOPBACK, forward: app.address, protocol: 'tcp' }],
  })
  await proxy.publishIdentity({ svid: await mint(domain, 'catalog'), bundles: domain.bundles })
  await proxy.publishPolicy(policy(allow('web')))
  const gate = proxy.addresses['in']!
  const silent = [await dial(t, gate), await dial(t, gate), await dial(t, gate)]
  await Promise.all(silent.map(outcomeOf))
  // The slot of the first may be had by the second for the moment that it has left: late in the queue, or late in its handshake.
  for (;;) {
    const refused = proxy.log.named('Refused a connection')
    const failed = proxy.log.named('Handshake failed')
    for (const { fields } of [...refused, ...failed])
      assert.match(
        (fields['error'] as { code: string }).code,
        /^(PROXY_HANDSHAKE_LATE|TLS_HANDSHAKE_TIMEOUT)$/,
      )
    if (refused.length + failed.length === silent.length) break
    await pause(10)
  }
  const { counters } = await threadOf(proxy)
  assert.deepEqual([counters.handshakes, counters.waiting, counters.live], [0, 0, 0])
  assert.equal(app.connections(), 0)
})
