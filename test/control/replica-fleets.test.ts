import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { DirectoryFleetStore } from '../../src/ca/directory-fleet-store.ts'
import { ReplicaFleets, type ReplicaStanding } from '../../src/control/replica-fleets.ts'
import type { SubscriberStatus } from '../../src/control/snapshot-board.ts'
import { WEB } from '../support/memory-ca.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const NOW_MS = 1_000_000
const KEY = Uint8Array.of(1)

function standing(part: Partial<ReplicaStanding> = {}): ReplicaStanding {
  return { nowMs: NOW_MS, subscribers: [], record: 'r1', neededNumber: 2, signerKey: KEY, ...part }
}

function subscriber(node: string, ackedNumber: number): SubscriberStatus {
  const peer = { id: WEB, serialNumber: node, expiresAtMs: 5, issuerKey: KEY, revokedBy: () => undefined }
  return { peer, node, connectedAtMs: 1, ackedNumber, lastNack: undefined }
}

async function two(directory: string) {
  const store = await DirectoryFleetStore.open(join(directory, 'fleets'))
  const [a, b] = ['a', 'b'].map((replica) => new ReplicaFleets({ store, replica, startedAtMs: NOW_MS }))
  return { a: a!, b: b!, directory: join(directory, 'fleets') }
}

test('ReplicaFleets counts the proxies of the others, each as its own replica sees it', async (t) => {
  const { a, b } = await two(await temporaryDirectory(t))
  await b.publish(standing({ subscribers: [subscriber('n2', 2), subscriber('n3', 1)] }))
  await a.read(NOW_MS)
  const { followers } = a.fleet(standing({ subscribers: [subscriber('n1', 2)] }))
  assert.deepEqual(
    followers.map(({ name, informed }) => [name, informed]),
    [
      [`${WEB.toString()} on n1`, true],
      [`${WEB.toString()} on n2`, true],
      [`${WEB.toString()} on n3`, false],
    ],
  )
  assert.deepEqual(
    a.others[0]?.followers.map(({ serialNumber, expiresAtMs }) => [serialNumber, expiresAtMs]),
    [
      ['n2', 5],
      ['n3', 5],
    ],
  )
})

test('ReplicaFleets names a replica that has not followed, and takes nobody there to be informed', async (t) => {
  const { a, b } = await two(await temporaryDirectory(t))
  await b.publish(standing({ subscribers: [subscriber('n2', 2)] }))
  await a.read(NOW_MS)
  const { followers } = a.fleet(standing({ record: 'r2' }))
  assert.deepEqual(followers, [{ name: 'the replica b and its 1 proxies', informed: false, renewed: false }])
})

test('ReplicaFleets forgets a replica that has ended, or published nothing for seconds; its proxies may be on their way', async (t) => {
  const { a, b, directory } = await two(await temporaryDirectory(t))
  assert.equal(a.fleet(standing()).settled, false)
  const laterMs = NOW_MS + 65_000
  assert.equal(a.fleet(standing({ nowMs: laterMs })).settled, true)
  await b.publish(standing({ nowMs: laterMs, subscribers: [subscriber('n2', 2)] }))
  await a.read(laterMs + 4_999)
  assert.equal(a.others.length, 1)
  await a.read(laterMs + 5_000)
  assert.equal(a.others.length, 0)
  assert.equal(a.fleet(standing({ nowMs: laterMs + 6_000 })).settled, false, 'they have a minute')
  assert.equal(a.fleet(standing({ nowMs: laterMs + 70_000 })).settled, true)

  await b.publish(standing({ nowMs: laterMs + 70_000 }))
  await b.retire()
  assert.deepEqual(await readdir(directory), [])
})

test('ReplicaFleets publishes what has changed at once, and the same again only to say that it lives', async (t) => {
  const { a, b } = await two(await temporaryDirectory(t))
  const untilMs = async (nowMs: number, subscribers: readonly SubscriberStatus[]): Promise<number> => {
    await b.publish(standing({ nowMs, subscribers }))
    await a.read(nowMs)
    return a.others[0]!.untilMs - NOW_MS
  }
  const proxy = subscriber('n2', 2)
  assert.equal(await untilMs(NOW_MS, [proxy]), 5_000)
  assert.equal(await untilMs(NOW_MS + 999, [proxy]), 5_000)
  assert.equal(await untilMs(NOW_MS + 1_000, [proxy]), 6_000)
  assert.equal(await untilMs(NOW_MS + 1_001, []), 6_001)
})

test('DirectoryFleetStore says which file it cannot read', async (t) => {
  const directory = join(await temporaryDirectory(t), 'fleets')
  const store = await DirectoryFleetStore.open(directory)
  await writeFile(join(directory, 'b.json'), '{"replica":"b"}', { mode: 0o600 })
  await assert.rejects(store.list(), { code: 'CA_STORE_CORRUPT', message: /b\.json is not readable/ })
})
