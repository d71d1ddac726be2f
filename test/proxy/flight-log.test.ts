import assert from 'node:assert/strict'
import { get, type IncomingMessage } from 'node:http'
import test, { type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { decodeFlightLine } from '../../src/authz/flight/decode.ts'
import type { FlightDecision, FlightLine } from '../../src/authz/flight/flight-line.ts'
import { startWorkerThread } from '../../src/cmd/proxy/start-thread.ts'
import { httpApp, tcpApp, dial, outcomeOf } from '../support/apps.ts'
import {
  allow,
  fetchFrom,
  idOf,
  policy,
  worldOf,
  type TestProxy,
  type World,
} from '../support/proxy-world.ts'

async function shop(t: TestContext, threads = 1): Promise<World> {
  const app = await httpApp(t, (_incoming, response) => response.end('ok'))
  return worldOf(t, {
    protocol: 'http',
    app: app.address,
    threads,
    ...(threads > 1 && { startThread: startWorkerThread }),
  })
}

async function flightLog(proxy: TestProxy): Promise<FlightLine[]> {
  const { text, status } = await fetchFrom(proxy.admin, { path: '/flight-log' })
  assert.equal(status, 200)
  return linesOf(text)
}

function linesOf(text: string): FlightLine[] {
  return text.split('\n').slice(0, -1).map(decodeFlightLine)
}

function decisionsIn(lines: readonly FlightLine[]): FlightDecision[] {
  return lines.filter((line) => line.kind === 'decision')
}

/** A follower of the flight log. */
class Follower {
  text = ''
  readonly page: IncomingMessage

  private constructor(page: IncomingMessage) {
    this.page = page
    page.setEncoding('utf8').on('data', (part: string) => (this.text += part))
    page.on('error', () => {})
  }

  static async of(t: TestContext, proxy: TestProxy): Promise<Follower> {
    const page = await new Promise<IncomingMessage>((resolve, reject) =>
      get({ ...proxy.admin, path: '/flight-log?follow=1', agent: false }, resolve).on('error', reject),
    )
    t.after(() => page.destroy())
    return new Follower(page)
  }

  /** So many decisions, once there are. @throws when they do not come */
  async decisions(count: number): Promise<FlightDecision[]> {
    for (const givenUpAt = Date.now() + 10_000; Date.now() < givenUpAt; await pause(5)) {
      const decisions = decisionsIn(linesOf(this.text.slice(0, this.text.lastIndexOf('\n') + 1)))
      if (decisions.length >= count) return decisions
    }
    throw new Error(`Fewer than ${count} decisions came`)
  }
}

test('flight log says who wrote it, by which policy, and what was asked and decided, without the query', async (t) => {
  const { catalog, entry, gate } = await shop(t)
  await fetchFrom(entry, { path: '/orders/17?token=secret', headers: { authorization: 'Bearer secret' } })
  await catalog.publishPolicy(policy(allow('someone-else')))
  const denied = await fetchFrom(entry, { path: '/orders/18' })

  const [proxy, first, second, ...decisions] = await flightLog(catalog)
  assert.ok(proxy?.kind === 'proxy')
  assert.equal(proxy.spiffeId, idOf('catalog'))
  assert.deepEqual(proxy.listeners, [{ name: 'catalog', port: gate.port, protocol: 'http' }])
  assert.ok(first?.kind === 'policy' && second?.kind === 'policy')
  const [permit, denial] = decisionsIn(decisions)
  assert.deepEqual([permit?.revision, denial?.revision], [first.revision, second.revision])
  assert.deepEqual([permit?.verdict, permit?.policy, permit?.seq], ['permit', 'shop/rule-0', 1])
  assert.deepEqual([permit?.request.peer, permit?.request.port], [idOf('web'), gate.port])
  assert.equal(permit?.request.source?.address, '127.0.0.1')
  assert.deepEqual(
    [permit?.request.http?.method, permit?.request.http?.path, permit?.request.http?.template],
    ['GET', '/orders/17', '/orders/{id}'],
  )
  assert.deepEqual(
    [denial?.verdict, denial?.cause, denial?.id],
    ['denial', 'no-matching-rule', denied.headers['x-handfast-decision']],
  )
  const { text } = await fetchFrom(catalog.admin, { path: '/flight-log' })
  assert.doesNotMatch(text, /secret/)
})

test('flight log gives a follower what is kept and what comes, of all threads, nothing twice and nothing lost', async (t) => {
  const { catalog, entry } = await shop(t, 2)
  for (let i = 0; i < 20; i++) await fetchFrom(entry, {})
  const followers = await Promise.all([Follower.of(t, catalog), Follower.of(t, catalog)])
  const requests = Array.from({ length: 40 }, () => fetchFrom(entry, {}))
  const late = await Follower.of(t, catalog)
  await Promise.all(requests)
  for (const follower of [...followers, late]) {
    const decisions = await follower.decisions(60)
    assert.equal(decisions.length, 60)
    assert.equal(new Set(decisions.map(({ id }) => id)).size, 60)
    for (const thread of [0, 1]) {
      const numbers = decisions.filter((decision) => decision.thread === thread).map(({ seq }) => seq)
      assert.deepEqual(
        numbers,
        numbers.map((_, index) => index + 1),
      )
    }
  }
})

test('flight log tells a follower of each change of policy, and of what was cut by it', async (t) => {
  const app = await tcpApp(t, (socket) => socket.write('hello'))
  const world = await worldOf(t, { protocol: 'tcp', app: app.address })
  const socket = await dial(t, world.entry)
  const over = outcomeOf(socket)
  const follower = await Follower.of(t, world.catalog)
  await follower.decisions(1)
  await world.catalog.publishPolicy(policy(allow('someone-else')))
  await over
  const [permit, denial] = await follower.decisions(2)
  assert.deepEqual([permit?.verdict, permit?.again], ['permit', undefined])
  assert.deepEqual([denial?.verdict, denial?.again], ['denial', true])
  assert.equal(denial?.connection, permit?.connection)
  const revisions = linesOf(follower.text).flatMap((line) => (line.kind === 'policy' ? [line.revision] : []))
  assert.deepEqual(revisions, [permit?.revision, denial?.revision])
})

test('flight log has a bounded number of followers, and forgets those that went away', async (t) => {
  const { catalog } = await shop(t)
  const followers = await Promise.all(Array.from({ length: 8 }, () => Follower.of(t, catalog)))
  const status = async (): Promise<number> =>
    new Promise((resolve, reject) => {
      get({ ...catalog.admin, path: '/flight-log?follow=1', agent: false }, (page) => {
        page.destroy()
        resolve(page.statusCode ?? 0)
      }).on('error', reject)
    })
  assert.equal(await status(), 503)
  for (const { page } of followers) page.destroy()
  for (const givenUpAt = Date.now() + 10_000; (await status()) !== 200; await pause(5))
    assert.ok(Date.now() < givenUpAt, 'followers that went away still count')
})

test('flight log goes on with a data-plane thread that is started anew, and a follower notices nothing but new numbers', async (t) => {
  const app = await httpApp(t, (_incoming, response) => response.end('ok'))
  const running: Worker[] = []
  const { catalog, entry } = await worldOf(t, {
    protocol: 'http',
    app: app.address,
    startThread: (options) => {
      const thread = startWorkerThread(options)
      running.push(thread.port as unknown as Worker)
      return thread
    },
  })
  await fetchFrom(entry, {})
  const follower = await Follower.of(t, catalog)
  await follower.decisions(1)
  // What no thread understands: to look into it throws where nobody catches.
  running[0]!.postMessage(null)
  for (const givenUpAt = Date.now() + 20_000; ; await pause(20)) {
    const { status } = await fetchFrom(entry, {}).catch(() => ({ status: 0 }))
    if (status === 200) break
    assert.ok(Date.now() < givenUpAt, 'The thread is not started anew')
  }
  const decisions = await follower.decisions(2)
  assert.deepEqual(
    decisions.map(({ seq }) => seq),
    [1, 1],
  )
})
