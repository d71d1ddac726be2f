/** Those who have lost their controller go to the next within so much time, not all in the same moment. */
const FAILOVER_SPREAD_MS = 500

/**
 * Which of a controller's replicas a proxy talks to: one for as long as it works, then the next. They all know the same.
 */
export class ReplicaChoice {
  readonly #addresses: readonly string[]
  readonly #random: () => number
  #index: number

  /**
   * @param addresses one or more, each `host:port`
   * @param random uniform in [0, 1): proxies begin with different ones
   */
  constructor(addresses: readonly string[], random: () => number) {
    this.#addresses = addresses
    this.#random = random
    this.#index = Math.floor(random() * addresses.length)
  }

  /** How many there are. */
  get count(): number {
    return this.#addresses.length
  }

  /** Whom to talk to now. */
  get address(): string {
    return this.#addresses[this.#index]!
  }

  /** Leaves a replica that did not answer, unless that has been done. */
  leave(address: string): void {
    if (address === this.address) this.#index = (this.#index + 1) % this.count
  }

  /**
   * When to try again after so many failures on end: soon while there are others that have not been tried, then as the
   * back-off says.
   */
  retryDelayMs(failures: number, backoff: { next(): number }): number {
    return failures % this.count === 0 ? backoff.next() : this.#random() * FAILOVER_SPREAD_MS
  }
}
