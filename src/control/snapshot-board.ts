import type { ConnectionPeer } from './connection-peer.ts'
import type { MeshState, VersionedState } from './mesh-state.ts'

/** A proxy that is connected, and how far it has come. */
export interface SubscriberStatus {
  readonly peer: ConnectionPeer
  /** What the subscriber calls itself; only `peer` is proven. */
  readonly node: string
  readonly connectedAtMs: number
  /** The newest number of this epoch that it runs on; undefined before it said so. */
  readonly ackedNumber: number | undefined
  /** The last refusal, until a newer state is acknowledged. */
  readonly lastNack: { readonly number: number; readonly reason: string; readonly atMs: number } | undefined
}

/** A place on the board, for as long as a subscriber is connected. */
export interface BoardPlace extends Disposable {
  acknowledge(number: number): void
  refuse(number: number, reason: string, atMs: number): void
}

/** Who takes a place on the board. */
export interface Subscriber {
  readonly peer: ConnectionPeer
  readonly node: string
  readonly connectedAtMs: number
  /** Called when there is a newer state; it does not throw. */
  changed(): void
}

/** The newest state, numbered, and the subscribers that follow it. */
export class SnapshotBoard {
  readonly #places = new Set<Place>()
  #current: VersionedState

  /** @param options.epoch differs at each start of the controller */
  constructor({ epoch, state }: { readonly epoch: string; readonly state: MeshState }) {
    this.#current = { ...state, version: { epoch, number: 1 } }
  }

  get current(): VersionedState {
    return this.#current
  }

  /** Gives the state the next number and tells all subscribers. */
  publish(state: MeshState): VersionedState {
    const { epoch, number } = this.#current.version
    this.#current = { ...state, version: { epoch, number: number + 1 } }
    for (const place of this.#places) place.subscriber.changed()
    return this.#current
  }

  subscribe(subscriber: Subscriber): BoardPlace {
    const place = new Place(subscriber, () => this.#places.delete(place))
    this.#places.add(place)
    return place
  }

  /** Everyone who is connected now. */
  get subscribers(): readonly SubscriberStatus[] {
    return Array.from(this.#places, (place) => place.status)
  }
}

class Place implements BoardPlace {
  readonly subscriber: Subscriber
  readonly #leave: () => void
  #ackedNumber: number | undefined
  #lastNack: SubscriberStatus['lastNack']

  constructor(subscriber: Subscriber, leave: () => void) {
    this.subscriber = subscriber
    this.#leave = leave
  }

  get status(): SubscriberStatus {
    const { peer, node, connectedAtMs } = this.subscriber
    return { peer, node, connectedAtMs, ackedNumber: this.#ackedNumber, lastNack: this.#lastNack }
  }

  acknowledge(number: number): void {
    this.#ackedNumber = number
    this.#lastNack = undefined
  }

  refuse(number: number, reason: string, atMs: number): void {
    this.#lastNack = { number, reason, atMs }
  }

  [Symbol.dispose](): void {
    this.#leave()
  }
}
