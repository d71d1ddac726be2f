import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import test from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { startWorkerThread } from '../../../src/cmd/proxy/start-thread.ts'
import type { ThreadReport } from '../../../src/proxy/threads/data-planes.ts'
import type { StartThread, Thread } from '../../../src/proxy/threads/thread-slot.ts'
import { dial, httpApp, outcomeOf, tcpApp } from '../../support/apps.ts'
import { mintTrustDomain } from '../../support/certificates.ts'
import {
  allow,
  fetchFrom,
  idOf,
  LOOPBACK,
  mint,
  policy,
  proxyOf,
  worldOf,
  type TestProxy,
} from '../../support/proxy-world.ts'

async function page(proxy: TestProxy, path: string): Promise<{ status: number; body: unknown }> {
  const { status, text } = await fetchFrom(proxy.admin, { path })
  return { status, body: JSON.parse(text) }
}

async function threadsOf(proxy: TestProxy): Promise<readonly ThreadReport[]> {
  return (await page(proxy, '/threads')).body as readonly ThreadReport[]
}

/** Resolves once `holds` is true of the threads. */
async function until(
  proxy: TestProxy,
  holds: (threads: readonly ThreadReport[]) => boolean,
): Promise<readonly ThreadReport[]> {
  for (const givenUpAt = Date.now() + 20_000; ; await pause(20)) {
    const threads = await threadsOf(proxy)
    if (holds(threads)) return threads
    if (Date.now() > givenUpAt) throw new Error(`The threads stay as they are: ${JSON.stringify(threads)}`)
  }
}

/** Threads that can be made to throw: the second one to be started is the first of a restart. */
function fragileThreads(): { readonly start: StartThread; readonly running: Worker[] } {
  const running: Worker[] = []
  const start: StartThread = (options): Thread => {
    const thread = startWorkerThread(options)
    running.push(thread.port as unknown as Worker)
    return thread
  }
  return { start, running }
}

/** What no thread understands: to look into it throws where nobody catches. */
function poison(worker: Worker): void {
  worker.postMessage(null)
}

test('data planes in threads of their own carry TCP and HTTP, and the operator sees what they did', async (t) => {
  const app = await httpApp(t, (_incoming, response) => response.end('from the app'))
  const world = await worldOf(t, {
    protocol: 'http',
    app: app.address,
    threads: 2,
    startThread: startWorkerThread,
  })
  for (let i = 0; i < 8; i++) assert.equal((await fetchFrom(world.entry, {})).text, 'from the app')
  await world.catalog.publishPolicy(policy(allow('someone-else')))
  const denied = await fetchFrom(world.entry, {})
  assert.equal(denied.status, 403)

  const list = (await page(world.catalog, '/handshakes')).body as { id: number; outcome: string }[]
  assert.deepEqual(
    list.map(({ outcome }) => outcome),
    list.map(() => 'established'),
  )
  assert.deepEqual(
    list.map(({ id }) => id),
    list.map((_, index) => index + 1),
  )
  const { text } = await fetchFrom(world.catalog.admin, { path: `/explain?id=${list[0]!.id}` })
  assert.match(text, /as the server saw it +✓ established/)
  const id = String(denied.headers['x-handfast-decision'])
  const decision = (await page(world.catalog, `/decisions?id=${id}`)).body as Record<string, unknown>
  assert.equal(decision['cause'], 'no-matching-rule')
  // Lines of different threads come in any order.
  const statuses = (await world.catalog.log.saw('access', 9)).map(({ fields }) => Number(fields['status']))
  assert.deepEqual(
    statuses.toSorted((a, b) => a - b),
    [...Array.from({ length: 8 }, () => 200), 403],
  )

  const threads = await threadsOf(world.catalog)
  assert.deepEqual(
    threads.map(({ state, restarts }) => [state, restarts]),
    [
      ['running', 0],
      ['running', 0],
    ],
  )
  const total = (name: keyof ThreadReport['counters']): number =>
    threads.reduce((sum, { counters }) => sum + counters[name], 0)
  assert.deepEqual([total('permits'), total('denials'), total('lostLines')], [8, 1, 0])
  assert.equal(total('accepted'), list.length)
})

test('data planes share a port: connections reach both threads', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('x'))
  const world = await worldOf(t, {
    protocol: 'tcp',
    app: app.address,
    threads: 2,
    startThread: startWorkerThread,
  })
  // The kernel deals by a hash of addresses and ports: that all of 64 go to one side does not happen.
  for (let i = 0; i < 64; i++) await outcomeOf(await dial(t, world.entry))
  for (const { counters } of await threadsOf(world.catalog)) assert.ok(counters.accepted > 0)
})

test('a proxy with several threads refuses a port that another program listens on', async (t) => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen({ port: 0, host: '127.0.0.1', reusePort: true }, resolve))
  t.after(() => taken.close())
  const { port } = taken.address() as { port: number }
  const listen = { host: '127.0.0.1', port }
  const inbound = [{ name: 'in', listen, forward: LOOPBACK, protocol: 'tcp' }] as const
  for (const threads of [1, 2])
    await assert.rejects(proxyOf(t, { inbound, threads, startThread: startWorkerThread }), {
      code: 'NET_ADDRESS_IN_USE',
      address: listen,
    })
})

test('a thread that dies resets what it carried, and the next one takes traffic with the newest view', async (t) => {
  const app = await tcpApp(t, (socket) => {
    socket.write('welcome')
    socket.on('data', () => {})
  })
  const { start, running } = fragileThreads()
  const domain = await mintTrustDomain()
  const catalog = await proxyOf(t, {
    inbound: [{ name: 'catalog', listen: LOOPBACK, forward: app.address, protocol: 'tcp' }],
    startThread: start,
  })
  const web = await proxyOf(t, {
    outbound: [
      {
        name: 'out',
        listen: LOOPBACK,
        connect: catalog.addresses['catalog']!,
        peer: idOf('catalog'),
        protocol: 'tcp',
      },
    ],
  })
  await web.publishIdentity({ svid: await mint(domain, 'web'), bundles: domain.bundles })
  await web.publishPolicy(policy())
  await catalog.publishIdentity({ svid: await mint(domain, 'catalog'), bundles: domain.bundles })
  await catalog.publishPolicy(policy(allow('someone-else')))
  await catalog.publishPolicy(policy(allow('web')))
  const entry = web.addresses['out']!
  const socket = await dial(t, entry)
  await new Promise((resolve) => socket.once('readable', resolve))
  const outcome = outcomeOf(socket)

  poison(running[0]!)
  assert.deepEqual(await outcome, { text: 'welcome', error: 'ECONNRESET' })
  const [thread] = await until(
    catalog,
    ([first]) => first!.restarts === 1 && first!.state === 'running' && first!.view !== undefined,
  )
  assert.match(String(thread!.lastFailure), /null/)
  assert.equal(thread!.counters.live, 0)
  assert.equal(running.length, 2)
  const [died] = catalog.log.named('A data-plane thread died; its connections were cut')
  assert.equal(died!.fields['thread'], 0)

  const next = await dial(t, entry)
  const text = await new Promise((resolve) => next.once('data', (chunk) => resolve(String(chunk))))
  assert.equal(text, 'welcome')
})

test('a proxy without a thread is not ready', async (t) => {
  const { start, running } = fragileThreads()
  const domain = await mintTrustDomain()
  const proxy = await proxyOf(t, {
    inbound: [{ name: 'in', listen: LOOPBACK, forward: LOOPBACK, protocol: 'tcp' }],
    // What is started in its place never comes to listen.
    startThread: (options) => (running.length === 0 ? start(options) : silentThread()),
  })
  await proxy.publishIdentity({ svid: await mint(domain, 'x'), bundles: domain.bundles })
  await proxy.publishPolicy(policy())
  assert.equal((await page(proxy, '/ready')).status, 200)
  poison(running[0]!)
  await until(proxy, ([first]) => first!.restarts === 1)
  assert.deepEqual(await page(proxy, '/ready'), {
    status: 503,
    body: { ready: false, missing: ['a data-plane thread'] },
  })
})

function silentThread(): Thread {
  return {
    port: { postMessage() {}, on() {}, unref() {} },
    ended: new Promise(() => {}),
    async terminate() {},
  }
}

test('a thread that refuses a view keeps the one before, and one that is started later is not given it', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('welcome'))
  const { start, running } = fragileThreads()
  const domain = await mintTrustDomain()
  const proxy = await proxyOf(t, {
    inbound: [{ name: 'in', listen: LOOPBACK, forward: app.address, protocol: 'tcp' }],
    startThread: start,
  })
  await proxy.publishIdentity({ svid: await mint(domain, 'x'), bundles: domain.bundles })
  await proxy.publishPolicy(policy())
  const [before] = await threadsOf(proxy)
  const [svid, other] = [await mint(domain, 'x'), await mint(domain, 'x')]
  // The key of another certificate: nothing that the controller's answer could be, and the thread checks it all the same.
  const mixed = { ...svid, key: other.key }
  await assert.rejects(proxy.publishIdentity({ svid: mixed, bundles: domain.bundles }), {
    code: 'PROXY_VIEW_REFUSED',
    message: /different pairs/,
  })
  const [after] = await threadsOf(proxy)
  assert.equal(after!.view, before!.view)
  await proxy.log.saw('A view of the mesh was refused; the one before stays in force')

  poison(running[0]!)
  const [restarted] = await until(proxy, ([first]) => first!.restarts === 1 && first!.view !== undefined)
  assert.equal(restarted!.view, before!.view)
  // It goes on from there.
  await proxy.publishIdentity({ svid: other, bundles: domain.bundles })
})

test('a proxy drains its threads: what is under way finishes, and the threads end', async (t) => {
  const app = await tcpApp(t, (socket) => void socket.pipe(socket))
  const { start, running } = fragileThreads()
  const world = await worldOf(t, {
    protocol: 'tcp',
    app: app.address,
    drainTimeoutMs: 10_000,
    threads: 2,
    startThread: start,
  })
  const socket = await dial(t, world.entry)
  socket.write('a')
  await new Promise((resolve) => socket.once('data', resolve))
  const ends = running.map((worker) => new Promise((resolve) => worker.once('exit', resolve)))
  const drained = Promise.all([world.web.drain(), world.catalog.drain()])
  const finished = outcomeOf(socket)
  socket.end('last words')
  assert.deepEqual(await finished, { text: 'last words' })
  await drained
  await Promise.all(ends)
  assert.equal(world.catalog.log.named('Drained')[0]?.fields['cut'], 0)
  assert.equal((await world.catalog.log.saw('access')).length, 1)
})
