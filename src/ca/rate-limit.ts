/** How often something may be done. */
export interface Rate {
  /** At once, after a pause. */
  readonly atOnce: number
  /** In the long run. */
  readonly perMinute: number
}

/** Callers that are told apart. More than a mesh has identities, or a network addresses that matter; some megabytes. */
const MAX_CALLERS = 20_000

const MINUTE_MS = 60_000

interface Bucket {
  /** How many times more it may be done now; it grows with time. */
  left: number
  atMs: number
}

/** Token buckets, one for each caller. Memory is bounded: those that would be full again are forgotten. */
export class RateLimit {
  readonly #rate: Rate
  readonly #buckets = new Map<string, Bucket>()

  constructor(rate: Rate) {
    this.#rate = rate
  }

  /** Whether this caller may do it once more; if so, it counts. */
  allow(caller: string, nowMs: number): boolean {
    const { atOnce, perMinute } = this.#rate
    const known = this.#buckets.get(caller)
    if (known === undefined) this.#makeRoom(nowMs)
    const bucket = known ?? { left: atOnce, atMs: nowMs }
    // A clock that was put back takes nothing away.
    const elapsedMs = Math.max(0, nowMs - bucket.atMs)
    bucket.left = Math.min(atOnce, bucket.left + (elapsedMs * perMinute) / MINUTE_MS)
    bucket.atMs = nowMs
    // The least recently seen come first.
    this.#buckets.delete(caller)
    this.#buckets.set(caller, bucket)
    if (bucket.left < 1) return false
    bucket.left--
    return true
  }

  /** The one seen longest ago has the most back; where even that is not full, it is let off. */
  #makeRoom(nowMs: number): void {
    const refillMs = (this.#rate.atOnce / this.#rate.perMinute) * MINUTE_MS
    for (const [caller, { atMs }] of this.#buckets) {
      if (nowMs - atMs < refillMs && this.#buckets.size < MAX_CALLERS) return
      this.#buckets.delete(caller)
    }
  }
}
