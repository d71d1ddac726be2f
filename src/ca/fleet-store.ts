import type { Follower } from './rotation.ts'

/** A proxy that is connected to a replica. */
export interface PublishedFollower extends Follower {
  readonly spiffeId: string
  readonly node: string
  /** Of its certificate; hexadecimal. */
  readonly serialNumber: string
  readonly expiresAtMs: number
}

/** Who is connected to one replica, as the leader has to know it. */
export interface PublishedFleet {
  readonly replica: string
  /** It counts until then unless it is published again: a replica that is gone holds nobody up. */
  readonly untilMs: number
  /** The record of the rotation that `informed` and `renewed` are about. */
  readonly record: string
  readonly followers: readonly PublishedFollower[]
}

/** Where replicas tell each other who is connected to them. */
export interface FleetStore {
  /** Replaces what this replica published before. @throws CaError CA_STORE_IO */
  publish(fleet: PublishedFleet): Promise<void>
  /** Takes back what a replica has published: it ends. @throws CaError CA_STORE_IO */
  retire(replica: string): Promise<void>
  /** What each has published last. @throws CaError CA_STORE_IO, CA_STORE_PERMISSIONS, CA_STORE_CORRUPT */
  list(): Promise<readonly PublishedFleet[]>
}
