import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Address, parseAddress } from '../../src/config/address.ts'
import { dial, outcomeOf, tcpApp } from '../support/apps.ts'
import { fetchFrom } from '../support/proxy-world.ts'
import type { Cli } from './cli.ts'
import { DOMAIN, line, listenerOf, startMesh } from './mesh.ts'

const PEER = `spiffe://${DOMAIN}/ns/shop/sa/catalog`

/** Two sidecars with a backend that echoes, and a second, unrelated way through the first of them. */
async function startPair(t: TestContext): Promise<Pair> {
  const app = await tcpApp(t, (socket) => socket.pipe(socket))
  const mesh = await startMesh(t, '')
  const inbound = `  inbound: [{ name: in, listen: 127.0.0.1:0, forward: 127.0.0.1:${app.address.port}, protocol: tcp }]`
  const [catalog, other] = [await mesh.sidecar('catalog', inbound), await mesh.sidecar('other', inbound)]
  const gates = [listenerOf(await line(catalog, 'ready'), 'in'), listenerOf(await line(other, 'ready'), 'in')]
  const web = await mesh.sidecar(
    'web',
    `  outbound:
    - { name: out, listen: 127.0.0.1:0, connect: 127.0.0.1:${gates[0]!.port}, peer: "${PEER}", protocol: tcp }
    - { name: aside, listen: 127.0.0.1:0, connect: 127.0.0.1:${gates[1]!.port}, peer: "spiffe://${DOMAIN}/ns/shop/sa/other", protocol: tcp }`,
  )
  const ready = await line(web, 'ready')
  return {
    web,
    catalog,
    entry: listenerOf(ready, 'out'),
    aside: listenerOf(ready, 'aside'),
    admins: {
      web: parseAddress(String(ready['admin']))!,
      catalog: parseAddress(String((await line(catalog, 'ready'))['admin']))!,
    },
  }
}

interface Pair {
  readonly web: Cli
  readonly catalog: Cli
  readonly entry: Address
  readonly aside: Address
  readonly admins: Readonly<Record<'web' | 'catalog', Address>>
}

async function echo(socket: Socket, text: string): Promise<void> {
  socket.write(text)
  let got = ''
  while (got.length < text.length) got += String(((await once(socket, 'data')) as [Buffer])[0])
  assert.equal(got, text)
}

/** How a connection breaks that can lead nowhere; a reset may come before it counts as made. */
async function errorAt(t: TestContext, address: Address): Promise<string | undefined> {
  try {
    return (await outcomeOf(await dial(t, address))).error
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

/** Connections that the data plane of a proxy holds. */
async function liveAt(admin: Address): Promise<number> {
  const { text } = await fetchFrom(admin, { path: '/threads' })
  return Number(/"live": *(\d+)/.exec(text)![1])
}

async function eventuallyNone(admin: Address): Promise<void> {
  for (let waited = 0; (await liveAt(admin)) > 0; waited += 20) {
    assert.ok(waited < 10_000, 'connections are still held')
    await delay(20)
  }
}

test('handfast proxy lets go of what a killed peer held, tells its application by a reset, and serves others on', async (t) => {
  const { web, catalog, entry, aside, admins } = await startPair(t)
  const apps = await Promise.all(Array.from({ length: 20 }, () => dial(t, entry)))
  for (const app of apps) await echo(app, 'before')
  const bystander = await dial(t, aside)
  await echo(bystander, 'before')
  const outcomes = apps.map(outcomeOf)
  catalog.child.kill('SIGKILL')
  for (const outcome of outcomes)
    assert.notEqual((await outcome).error, undefined, 'a kill looked like a clean end')
  await echo(bystander, 'after')
  bystander.destroy()
  await eventuallyNone(admins.web)
  assert.equal(web.child.exitCode, null)
  // Nobody is there: the application is told, and nothing waits.
  assert.notEqual(await errorAt(t, entry), undefined)
  await eventuallyNone(admins.web)
})

test('handfast proxy lets go of what a killed caller held', async (t) => {
  const { web, entry, admins } = await startPair(t)
  const apps = await Promise.all(Array.from({ length: 20 }, () => dial(t, entry)))
  for (const app of apps) await echo(app, 'before')
  assert.equal(await liveAt(admins.catalog), 20)
  const outcomes = apps.map(outcomeOf)
  web.child.kill('SIGKILL')
  await Promise.all(outcomes)
  await eventuallyNone(admins.catalog)
})
