import assert from 'node:assert/strict'
import test from 'node:test'
import { SnapshotBoard } from '../../src/control/snapshot-board.ts'
import { TrustBundles } from '../../src/identity/trust-bundle.ts'
import { WEB } from '../support/memory-ca.ts'

function state(policyRevision: string) {
  return { bundles: TrustBundles.of(), policies: new Uint8Array(), policyRevision }
}

function subscriber(node: string, changed = () => {}) {
  const peer = {
    id: WEB,
    serialNumber: '1',
    expiresAtMs: 2,
    issuerKey: Uint8Array.of(1),
    revokedBy: () => undefined,
  }
  return { peer, node, connectedAtMs: 1, changed }
}

test('SnapshotBoard numbers states from 1 and tells every subscriber of each', () => {
  const board = new SnapshotBoard({ epoch: 'e', state: state('r1') })
  const seen: string[] = []
  for (const node of ['a', 'b'])
    board.subscribe(subscriber(node, () => seen.push(`${node}${board.current.version.number}`)))
  assert.deepEqual(board.current.version, { epoch: 'e', number: 1 })
  assert.deepEqual(board.publish(state('r2')).version, { epoch: 'e', number: 2 })
  assert.equal(board.current.policyRevision, 'r2')
  assert.deepEqual(seen, ['a2', 'b2'])
})

test('SnapshotBoard keeps the last acknowledgement and the last refusal of each subscriber', () => {
  const board = new SnapshotBoard({ epoch: 'e', state: state('r1') })
  const place = board.subscribe(subscriber('a'))
  board.subscribe(subscriber('b'))
  place.acknowledge(1)
  place.refuse(2, 'no', 42)
  const [a, b] = board.subscribers
  assert.equal(a!.ackedNumber, 1)
  assert.deepEqual(a!.lastNack, { number: 2, reason: 'no', atMs: 42 })
  assert.deepEqual([b!.node, b!.ackedNumber, b!.lastNack], ['b', undefined, undefined])
  place.acknowledge(3)
  assert.equal(board.subscribers[0]!.lastNack, undefined, 'it has got over it')
})

test('SnapshotBoard forgets a subscriber that has left', () => {
  const board = new SnapshotBoard({ epoch: 'e', state: state('r1') })
  let told = 0
  const place = board.subscribe(subscriber('a', () => told++))
  place[Symbol.dispose]()
  board.publish(state('r2'))
  assert.equal(told, 0)
  assert.deepEqual(board.subscribers, [])
})
