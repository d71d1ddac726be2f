import { encodeFlightLine } from '../../authz/flight/encode.ts'
import type { FlightDecision } from '../../authz/flight/flight-line.ts'
import type { ThreadSlot } from './thread-slot.ts'

/** Takes whole lines. */
export type FlightFollower = (text: string) => void

/**
 * Those who follow what all threads decide. Each gets of each thread first what its ring has and then everything further, in
 * order and nothing twice. Threads send nothing while nobody follows.
 */
export class FlightFollowers {
  readonly #slots: () => readonly ThreadSlot[]
  /** With the threads whose ring each has had. */
  readonly #followers = new Map<FlightFollower, Set<number>>()

  constructor(slots: () => readonly ThreadSlot[]) {
    this.#slots = slots
  }

  get size(): number {
    return this.#followers.size
  }

  /** @returns how to stop */
  follow(follower: FlightFollower): () => void {
    this.#followers.set(follower, new Set())
    for (const index of this.#slots().keys()) void this.#join(follower, index)
    return () => {
      if (!this.#followers.delete(follower) || this.#followers.size > 0) return
      for (const slot of this.#slots()) slot.unfollow()
    }
  }

  /** Lines that are not of a thread. */
  tell(text: string): void {
    for (const follower of this.#followers.keys()) follower(text)
  }

  /** Lines of a thread. */
  take(thread: number, text: string): void {
    for (const [follower, joined] of this.#followers) if (joined.has(thread)) follower(text)
  }

  /** A thread was started, perhaps anew: it does not know yet that it is followed. */
  started(thread: number): void {
    for (const [follower, joined] of this.#followers) {
      joined.delete(thread)
      void this.#join(follower, thread)
    }
  }

  async #join(follower: FlightFollower, thread: number): Promise<void> {
    const slot = this.#slots()[thread]!
    // A thread that is busy for so long that it does not answer in time is asked again.
    while (slot.status.state === 'running') {
      const decisions = (await slot.ask({ kind: 'decisions', follow: true })) as
        | readonly FlightDecision[]
        | undefined
      const joined = this.#followers.get(follower)
      if (joined === undefined || joined.has(thread)) return
      if (decisions === undefined) continue
      joined.add(thread)
      if (decisions.length > 0) follower(decisions.map(encodeFlightLine).join(''))
      return
    }
  }
}
