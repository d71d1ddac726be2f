import assert from 'node:assert/strict'
import test from 'node:test'
import type { ConnectionPeer } from '../../src/control/connection-peer.ts'
import { fleetOf } from '../../src/control/fleet.ts'
import type { SubscriberStatus } from '../../src/control/snapshot-board.ts'
import { WEB } from '../support/memory-ca.ts'

const KEY = Uint8Array.of(1)
const STARTED_MS = 1_000_000

function peerWith(issuerKey: Uint8Array): ConnectionPeer {
  return { id: WEB, serialNumber: '1', expiresAtMs: STARTED_MS, issuerKey, revokedBy: () => undefined }
}

function subscriber(part: Partial<SubscriberStatus>): SubscriberStatus {
  return {
    peer: peerWith(KEY),
    node: 'n1',
    connectedAtMs: STARTED_MS,
    ackedNumber: undefined,
    lastNack: undefined,
    ...part,
  }
}

test('fleetOf tells who has acknowledged, who has renewed, and who refuses', () => {
  const subscribers = [
    subscriber({ ackedNumber: 3 }),
    subscriber({ ackedNumber: 2, lastNack: { number: 3, reason: 'no room', atMs: 0 } }),
    subscriber({ peer: peerWith(Uint8Array.of(2)) }),
  ]
  const options = { startedAtMs: STARTED_MS, neededNumber: 3, signerKey: KEY }
  const name = 'spiffe://example.org/ns/shop/sa/web on n1'
  assert.deepEqual(fleetOf(subscribers, { ...options, nowMs: STARTED_MS }), {
    settled: false,
    followers: [
      { name, informed: true, renewed: true },
      { name, informed: false, renewed: true, refusal: 'no room' },
      { name, informed: false, renewed: false },
    ],
  })
  assert.equal(fleetOf([], { ...options, nowMs: STARTED_MS + 65_000 }).settled, true)
})
