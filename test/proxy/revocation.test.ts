/** What becomes of peers that are revoked while they are connected, and when they come again. */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import test, { type TestContext } from 'node:test'
import { startWorkerThread } from '../../src/cmd/proxy/start-thread.ts'
import type { RevocationList, Revocations } from '../../src/identity/revocations.ts'
import { dial, httpApp, outcomeOf, tcpApp } from '../support/apps.ts'
import type { LogLine } from '../support/memory-log.ts'
import {
  crypto,
  DEFAULTS,
  fetchFrom,
  idOf,
  mint,
  type TestProxy,
  worldOf,
  type World,
  type WorldOptions,
} from '../support/proxy-world.ts'
import { revocationsOf } from '../support/revocations.ts'

/** Whether the proxy tells refused peers why. What our code refuses after OpenSSL's handshake ends without an alert. */
const SENDS_ALERTS = DEFAULTS.tlsEngine === 'handfast'

function echoWorld(t: TestContext, options: Partial<WorldOptions> = {}): Promise<World> {
  return tcpApp(t, (socket) => socket.pipe(socket)).then((app) =>
    worldOf(t, { protocol: 'tcp', app: app.address, ...options }),
  )
}

/** The ways to revoke what a proxy shows. */
function waysToRevoke(proxy: TestProxy): Readonly<Record<RevokedBy, Partial<RevocationList>>> {
  const { id, chain } = proxy.views.svid!
  return {
    serial: { serialNumbers: [chain[0]!.serialNumber] },
    identity: { spiffeIds: [id.toString()] },
    issuer: { issuerKeys: [crypto.digest('sha256', chain[1]!.publicKey.spki).toHex()] },
  }
}

type RevokedBy = 'serial' | 'identity' | 'issuer'

function codeIn({ fields }: LogLine): unknown {
  return (fields['error'] as { readonly code: string } | undefined)?.code
}

/** Sends a few bytes there and back. */
async function exchange(socket: Awaited<ReturnType<typeof dial>>): Promise<void> {
  const back = new Promise((resolve) => socket.once('data', resolve))
  socket.write('ping')
  await back
}

/** How an inbound and an outbound proxy hear that the other is revoked. */
const SIDES = [
  ['the client', (world: World) => ({ judge: world.catalog, judged: world.web })],
  ['the server', (world: World) => ({ judge: world.web, judged: world.catalog })],
] as const

for (const [who, sides] of SIDES) {
  for (const by of ['serial', 'identity', 'issuer'] as const)
    test(`proxy cuts TCP of a peer that is revoked by ${by}, and takes no new connection: ${who}`, async (t) => {
      const world = await echoWorld(t)
      const { judge, judged } = sides(world)
      const socket = await dial(t, world.entry)
      await exchange(socket)
      const outcome = outcomeOf(socket)
      await judge.publishRevocations(revocationsOf(waysToRevoke(judged)[by]))
      assert.deepEqual(await outcome, { text: '', error: 'ECONNRESET' })
      const [cut] = await judge.log.saw('access')
      assert.equal(codeIn(cut!), 'PROXY_PEER_REVOKED')
      await assertRefused(t, world, judge)
    })
}

/** That another connection does not come about, whichever side refuses it, and why. */
async function assertRefused(t: TestContext, world: World, judge: TestProxy): Promise<void> {
  const { text } = await outcomeOf(await dial(t, world.entry))
  assert.equal(text, '')
  const [line] = await judge.log.saw(judge === world.web ? 'Cannot reach the peer' : 'Handshake failed')
  const { code, message } = line!.fields['error'] as { readonly code: string; readonly message: string }
  assert.equal(code, 'TLS_CERTIFICATE_REJECTED')
  assert.match(message, /is revoked: /)
  if (judge === world.web || !SENDS_ALERTS) return
  // The line of a connection that was cut before may come first.
  for (let count = 1; ; count++) {
    const { fields } = (await world.web.log.saw('access', count)).at(-1)!
    if (String(Object(fields['error']).message).includes('certificate_revoked')) return
  }
}

test('proxy does not resume with a peer that is revoked, on either side', async (t) => {
  for (const [, sides] of SIDES) {
    const world = await echoWorld(t)
    const { judge, judged } = sides(world)
    const socket = await dial(t, world.entry)
    await exchange(socket)
    socket.end()
    await outcomeOf(socket)
    // The connection has ended, and only its tickets are left.
    await judge.publishRevocations(revocationsOf(waysToRevoke(judged).serial))
    await assertRefused(t, world, judge)
  }
})

test('proxy lets an identity back in when its revocation is lifted', async (t) => {
  const world = await echoWorld(t)
  const { judge, judged } = SIDES[0][1](world)
  await judge.publishRevocations(revocationsOf(waysToRevoke(judged).identity))
  await assertRefused(t, world, judge)
  await judge.publishRevocations(revocationsOf({ revision: Date.UTC(2026, 5, 2) }))
  await exchange(await dial(t, world.entry))
})

test('proxy leaves connections alone that a list does not concern', async (t) => {
  const world = await echoWorld(t)
  const socket = await dial(t, world.entry)
  await exchange(socket)
  const others = revocationsOf({ serialNumbers: ['77'], spiffeIds: [idOf('other')] })
  for (const proxy of [world.web, world.catalog]) await proxy.publishRevocations(others)
  await exchange(socket)
})

test('proxy takes the renewed certificate of a workload whose former one is revoked', async (t) => {
  const world = await echoWorld(t)
  await world.catalog.publishRevocations(revocationsOf(waysToRevoke(world.web).serial))
  await world.web.publishIdentity({ svid: await mint(world.domain, 'web'), bundles: world.domain.bundles })
  await exchange(await dial(t, world.entry))
})

for (const [who, sides] of SIDES)
  test(`proxy cuts an HTTP request under way when the peer is revoked: ${who}`, async (t) => {
    const app = await httpApp(t, (_incoming, response) => void response.write('a part'))
    const world = await worldOf(t, { protocol: 'http', app: app.address })
    const { judge, judged } = sides(world)
    const broken = new Promise<NodeJS.ErrnoException>((resolve) => {
      const outgoing = request({ ...world.entry, agent: false }, (incoming) => {
        const revoked = revocationsOf(waysToRevoke(judged).identity)
        incoming.on('data', () => void judge.publishRevocations(revoked))
        incoming.on('error', resolve)
      })
      outgoing.on('error', () => {})
      outgoing.end()
    })
    assert.equal((await broken).code, 'ECONNRESET')
    const { status } = await fetchFrom(world.entry)
    assert.equal(status, 502)
  })

test('proxy threads of their own are told what is revoked, whatever else has changed', async (t) => {
  const world = await echoWorld(t, { threads: 2, startThread: startWorkerThread })
  const list: Revocations = revocationsOf(waysToRevoke(world.web).identity)
  const socket = await dial(t, world.entry)
  await exchange(socket)
  const outcome = outcomeOf(socket)
  await world.catalog.publishRevocations(list)
  assert.equal((await outcome).error, 'ECONNRESET')
  // The next view says nothing of revocations, which stay as they were.
  await world.catalog.publishIdentity({
    svid: await mint(world.domain, 'catalog'),
    bundles: world.domain.bundles,
  })
  await assertRefused(t, world, world.catalog)
})

test('the explanation of a refused handshake names the revocation on both sides, with evidence and remedy', async (t) => {
  const world = await echoWorld(t)
  await world.catalog.publishRevocations(revocationsOf(waysToRevoke(world.web).serial))
  await assertRefused(t, world, world.catalog)
  const [refused] = await world.catalog.log.saw('Handshake failed')
  const path = `/explain?id=${String(refused!.fields['handshake'])}&format=json`
  const { failure } = JSON.parse((await fetchFrom(world.catalog.admin, { path })).text) as {
    readonly failure: Readonly<Record<string, unknown>>
  }
  const { serialNumber } = world.web.views.svid!.chain[0]!
  assert.equal(failure['code'], 'PKI_REVOKED')
  assert.equal(failure['title'], 'The certificate of the peer has been revoked')
  assert.match(String(failure['remedy']), /handfast ca revoke list/)
  assert.ok(JSON.stringify(failure['evidence']).includes(serialNumber), JSON.stringify(failure['evidence']))
  if (!SENDS_ALERTS) return
  const { text } = await fetchFrom(world.web.admin, { path: '/handshakes' })
  const { id } = (JSON.parse(text) as readonly { readonly id: number }[]).at(-1)!
  const ours = await fetchFrom(world.web.admin, { path: `/explain?id=${id}` })
  assert.match(ours.text, /our certificate has been revoked/)
})
