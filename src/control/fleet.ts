import { equalBytes } from '../bytes/bytes.ts'
import type { Fleet } from '../ca/rotation.ts'
import type { SubscriberStatus } from './snapshot-board.ts'

/** Proxies that have lost their controller come back within the longest delay of their back-off, and a moment. */
const RETURN_MS = 65_000

export interface FleetOptions {
  readonly nowMs: number
  /** When the controller began to listen. */
  readonly startedAtMs: number
  /** The number of the snapshot that everyone must have acknowledged. */
  readonly neededNumber: number
  /** The key that signs now: SubjectPublicKeyInfo, DER. */
  readonly signerKey: Uint8Array
}

/** The connected proxies, as far as a rotation depends on them. */
export function fleetOf(
  subscribers: readonly SubscriberStatus[],
  { nowMs, startedAtMs, neededNumber, signerKey }: FleetOptions,
): Fleet {
  const followers = subscribers.map(({ peer, node, ackedNumber, lastNack }) => ({
    name: `${peer.id.toString()} on ${node}`,
    informed: ackedNumber !== undefined && ackedNumber >= neededNumber,
    renewed: equalBytes(peer.issuerKey, signerKey),
    ...(lastNack !== undefined && { refusal: lastNack.reason }),
  }))
  return { followers, settled: nowMs - startedAtMs >= RETURN_MS }
}
