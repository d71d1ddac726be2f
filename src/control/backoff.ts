/** How delays between attempts grow. */
export interface BackoffOptions {
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** The most that the first delay can be. @default 1,000 ms */
  readonly baseMs?: number
  /** The most that any delay can be. @default 60,000 ms */
  readonly maxMs?: number
}

/**
 * Exponential back-off that never gives up: each delay is drawn from the upper half of a span that doubles, so that
 * those who failed together do not return together.
 */
export class Backoff {
  readonly #random: () => number
  readonly #baseMs: number
  readonly #maxMs: number
  #attempt = 0

  constructor({ random, baseMs = 1_000, maxMs = 60_000 }: BackoffOptions) {
    this.#random = random
    this.#baseMs = baseMs
    this.#maxMs = maxMs
  }

  /** The delay before the next attempt, in milliseconds. */
  next(): number {
    const span = Math.min(this.#maxMs, this.#baseMs * 2 ** this.#attempt)
    this.#attempt++
    return (span * (1 + this.#random())) / 2
  }

  /** After a success: the next failure starts from the beginning. */
  reset(): void {
    this.#attempt = 0
  }
}
