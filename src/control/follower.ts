import { equalBytes } from '../bytes/bytes.ts'
import type { PublishedFollower } from '../ca/fleet-store.ts'
import type { SubscriberStatus } from './snapshot-board.ts'

/** What all proxies of a controller are to have come to. */
export interface FollowerOptions {
  /** The number of the snapshot that everyone must have acknowledged. */
  readonly neededNumber: number
  /** The key that signs now: SubjectPublicKeyInfo, DER. */
  readonly signerKey: Uint8Array
}

/** A connected proxy, as far as a rotation depends on it. */
export function followerOf(
  { peer, node, ackedNumber, lastNack }: SubscriberStatus,
  { neededNumber, signerKey }: FollowerOptions,
): PublishedFollower {
  const { id, serialNumber, expiresAtMs, issuerKey } = peer
  const spiffeId = id.toString()
  return {
    name: `${spiffeId} on ${node}`,
    informed: ackedNumber !== undefined && ackedNumber >= neededNumber,
    renewed: equalBytes(issuerKey, signerKey),
    ...(lastNack !== undefined && { refusal: lastNack.reason }),
    spiffeId,
    node,
    serialNumber,
    expiresAtMs,
  }
}
