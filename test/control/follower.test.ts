import assert from 'node:assert/strict'
import test from 'node:test'
import type { ConnectionPeer } from '../../src/control/connection-peer.ts'
import { followerOf } from '../../src/control/follower.ts'
import type { SubscriberStatus } from '../../src/control/snapshot-board.ts'
import { WEB } from '../support/memory-ca.ts'

const KEY = Uint8Array.of(1)

function peerWith(issuerKey: Uint8Array): ConnectionPeer {
  return { id: WEB, serialNumber: '1', expiresAtMs: 5, issuerKey, revokedBy: () => undefined }
}

function subscriber(part: Partial<SubscriberStatus>): SubscriberStatus {
  return {
    peer: peerWith(KEY),
    node: 'n1',
    connectedAtMs: 1,
    ackedNumber: undefined,
    lastNack: undefined,
    ...part,
  }
}

test('followerOf tells who has acknowledged, who has renewed, and who refuses', () => {
  const spiffeId = 'spiffe://example.org/ns/shop/sa/web'
  const known = { name: `${spiffeId} on n1`, spiffeId, node: 'n1', serialNumber: '1', expiresAtMs: 5 }
  const followers = [
    subscriber({ ackedNumber: 3 }),
    subscriber({ ackedNumber: 2, lastNack: { number: 3, reason: 'no room', atMs: 0 } }),
    subscriber({ peer: peerWith(Uint8Array.of(2)) }),
  ].map((status) => followerOf(status, { neededNumber: 3, signerKey: KEY }))
  assert.deepEqual(followers, [
    { ...known, informed: true, renewed: true },
    { ...known, informed: false, renewed: true, refusal: 'no room' },
    { ...known, informed: false, renewed: false },
  ])
})
