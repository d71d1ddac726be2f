import assert from 'node:assert/strict'
import test from 'node:test'
import { ProxyError } from '../../src/proxy/errors.ts'
import { LiveConnections, type LiveConnection } from '../../src/proxy/live-connections.ts'
import type { MeshView } from '../../src/proxy/mesh-view.ts'

const VIEW = {} as MeshView

interface Fake extends LiveConnection {
  readonly cuts: ProxyError[]
  drains: number
}

function fake(judgement?: ProxyError, expiresAtMs = Infinity): Fake {
  const cuts: ProxyError[] = []
  return {
    cuts,
    drains: 0,
    expiresAtMs,
    judge: () => judgement,
    cut: (reason) => cuts.push(reason),
    drain() {
      this.drains++
    },
  }
}

test('LiveConnections.rejudge cuts exactly those that may not go on, once', () => {
  const live = new LiveConnections(Date.now)
  const [kept, denied] = [fake(), fake(new ProxyError('PROXY_NO_LONGER_ALLOWED', 'denied'))]
  live.add(kept)
  live.add(denied)
  live.rejudge(VIEW)
  live.rejudge(VIEW)
  assert.deepEqual(
    denied.cuts.map(({ code }) => code),
    ['PROXY_NO_LONGER_ALLOWED'],
  )
  assert.equal(kept.cuts.length, 0)
  assert.equal(live.size, 1)
})

test('LiveConnections.add judges at once under the view it is given', () => {
  const live = new LiveConnections(Date.now)
  const denied = fake(new ProxyError('PROXY_NO_LONGER_TRUSTED', 'gone'))
  live.add(denied, VIEW)
  assert.equal(denied.cuts.length, 1)
  assert.equal(live.size, 0)
})

test('LiveConnections cuts each connection when its certificate ends, and none before', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 })
  const live = new LiveConnections(Date.now)
  const [late, early, never] = [fake(undefined, 1_060_000), fake(undefined, 1_010_000), fake()]
  live.add(late)
  live.add(early)
  live.add(never)
  t.mock.timers.tick(10_000)
  assert.equal(early.cuts.length, 0, 'the last millisecond is still valid')
  t.mock.timers.tick(1)
  assert.deepEqual(
    early.cuts.map(({ code }) => code),
    ['PROXY_CERTIFICATE_ENDED'],
  )
  assert.equal(late.cuts.length, 0)
  t.mock.timers.tick(50_000)
  assert.equal(late.cuts.length, 1)
  assert.equal(live.size, 1)
})

test('LiveConnections.drain ends as soon as nothing is left, and asks late comers too', async () => {
  const live = new LiveConnections(Date.now)
  const [first, second] = [fake(), fake()]
  const firstEnded = live.add(first)
  const drained = live.drain(60_000)
  const secondEnded = live.add(second)
  assert.deepEqual([first.drains, second.drains], [1, 1])
  firstEnded()
  secondEnded()
  assert.equal(await drained, 0)
})

test('LiveConnections.drain cuts what is left when the time is up', async () => {
  const live = new LiveConnections(Date.now)
  const slow = fake()
  live.add(slow)
  assert.equal(await live.drain(10), 1)
  assert.equal(slow.cuts[0]?.code, 'PROXY_DRAINED')
})

test('LiveConnections retires a connection once, before its certificate ends', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 })
  const live = new LiveConnections(Date.now)
  const events: string[] = []
  const add = (name: string, atMs: number, expiresAtMs: number): (() => void) =>
    live.add({
      ...fake(undefined, expiresAtMs),
      retirement: { atMs, begin: () => events.push(`${name} retires`) },
      cut: () => events.push(`${name} is cut`),
    })
  add('first', 1_008_000, 1_010_000)
  add('second', 1_016_000, 1_020_000)
  const gone = add('gone', 1_001_000, 1_030_000)
  gone()
  for (let second = 0; second < 30; second++) t.mock.timers.tick(1000)
  assert.deepEqual(events, ['first retires', 'first is cut', 'second retires', 'second is cut'])
})
