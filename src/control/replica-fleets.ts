import type { FleetStore, PublishedFleet, PublishedFollower } from '../ca/fleet-store.ts'
import type { Fleet, Follower } from '../ca/rotation.ts'
import { followerOf, type FollowerOptions } from './follower.ts'
import type { SubscriberStatus } from './snapshot-board.ts'

/** Proxies that have lost their controller come back within the longest delay of their back-off, and a moment. */
const RETURN_MS = 65_000

/** A replica that has not published for so long is gone: it missed several in a row. */
const COUNTS_MS = 5_000

/** Published again after so much time although nothing has changed. */
const AGAIN_MS = 1_000

/** How far this replica and its proxies are. */
export interface ReplicaStanding extends FollowerOptions {
  readonly nowMs: number
  readonly subscribers: readonly SubscriberStatus[]
  /** The record of the rotation that it goes by. */
  readonly record: string
}

export interface ReplicaFleetsOptions {
  readonly store: FleetStore
  /** The name of this replica. */
  readonly replica: string
  readonly startedAtMs: number
}

/** The proxies of all replicas: each publishes its own, and whoever leads reads those of the others. */
export class ReplicaFleets {
  readonly #options: ReplicaFleetsOptions
  #published = ''
  #publishedAtMs = 0
  #others: readonly PublishedFleet[] = []
  /** Since when nobody has been lost who may be on the way back. */
  #settledFromMs: number

  constructor(options: ReplicaFleetsOptions) {
    this.#options = options
    this.#settledFromMs = options.startedAtMs
  }

  /** Tells the others who is connected here. @throws CaError CA_STORE_IO */
  async publish(standing: ReplicaStanding): Promise<void> {
    const { store, replica } = this.#options
    const { nowMs, record } = standing
    const content = { replica, record, followers: this.own(standing) }
    const text = JSON.stringify(content)
    if (text === this.#published && nowMs - this.#publishedAtMs < AGAIN_MS) return
    await store.publish({ ...content, untilMs: nowMs + COUNTS_MS })
    this.#published = text
    this.#publishedAtMs = nowMs
  }

  /** Reads what the others have published. @throws CaError CA_STORE_IO, CA_STORE_PERMISSIONS, CA_STORE_CORRUPT */
  async read(nowMs: number): Promise<void> {
    const { store, replica } = this.#options
    const found = await store.list()
    const others = found.filter((fleet) => fleet.replica !== replica && fleet.untilMs > nowMs)
    const names = new Set(others.map((fleet) => fleet.replica))
    if (this.#others.some((fleet) => !names.has(fleet.replica))) this.#settledFromMs = nowMs
    this.#others = others
  }

  /** A replica that begins to lead does not know who was connected to the one before. */
  lead(nowMs: number): void {
    this.#settledFromMs = nowMs
  }

  /** Whoever is connected here. */
  own(standing: ReplicaStanding): readonly PublishedFollower[] {
    return standing.subscribers.map((subscriber) => followerOf(subscriber, standing))
  }

  /** Those of the others, as of the last reading. */
  get others(): readonly PublishedFleet[] {
    return this.#others
  }

  /** Everyone who is connected to a replica. One that is not as far as this one has informed nobody. */
  fleet(standing: ReplicaStanding): Fleet {
    const { nowMs, record } = standing
    const elsewhere = this.#others.flatMap((fleet): readonly Follower[] =>
      fleet.record === record
        ? fleet.followers
        : [
            {
              name: `the replica ${fleet.replica} and its ${fleet.followers.length} proxies`,
              informed: false,
              renewed: false,
            },
          ],
    )
    const settled = nowMs - this.#settledFromMs >= RETURN_MS
    return { followers: [...this.own(standing), ...elsewhere], settled }
  }

  /** Takes back what was published: this replica ends. @throws CaError CA_STORE_IO */
  retire(): Promise<void> {
    const { store, replica } = this.#options
    return store.retire(replica)
  }
}
