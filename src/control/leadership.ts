import type { HeldLease, Lease } from '../ca/lease.ts'
import type { Timers } from './timers.ts'

/** A leader that dies is followed by the next within so much time. */
const ATTEMPT_MS = 200

/** How often a leader makes sure that it is one. */
const RENEW_MS = 1_000

export interface LeadershipOptions {
  readonly lease: Lease
  /** The name of this replica. */
  readonly holder: string
  readonly timers: Timers
  /** What is held already. @default nothing */
  readonly held?: HeldLease | undefined
  /** Takes the leader's duties up; when that fails, the lease is given back, and another attempt follows. */
  readonly onGained: (term: number) => Promise<void>
  /** Lays them down. */
  readonly onLost: () => void
  /** What went wrong with an attempt; it is not the last. */
  readonly onError: (error: unknown) => void
}

/** Strives to lead, for as long as it lives. */
export class Leadership implements Disposable {
  readonly #options: LeadershipOptions
  #held: HeldLease | undefined
  #cancel = (): void => {}
  #disposed = false

  constructor(options: LeadershipOptions) {
    this.#options = options
    this.#held = options.held
    this.#wait()
  }

  /** Gives the lease back, for the next to take it at once. */
  [Symbol.dispose](): void {
    this.#disposed = true
    this.#cancel()
    this.#held?.[Symbol.dispose]()
    this.#held = undefined
  }

  #wait(): void {
    if (this.#disposed) return
    const delayMs = this.#held === undefined ? ATTEMPT_MS : RENEW_MS
    this.#cancel = this.#options.timers.after(delayMs, () => void this.#step().finally(() => this.#wait()))
  }

  async #step(): Promise<void> {
    try {
      await (this.#held === undefined ? this.#strive() : this.#renew(this.#held))
    } catch (error) {
      this.#options.onError(error)
    }
  }

  async #strive(): Promise<void> {
    const { lease, holder, onGained } = this.#options
    const held = await lease.tryAcquire(holder)
    if (held === undefined) return
    try {
      // What has been disposed of meanwhile leads nobody.
      if (!this.#disposed) {
        await onGained(held.term)
        this.#held = held
      }
    } finally {
      if (this.#held !== held || this.#disposed) held[Symbol.dispose]()
    }
  }

  async #renew(held: HeldLease): Promise<void> {
    if (await held.renew()) return
    this.#held = undefined
    held[Symbol.dispose]()
    this.#options.onLost()
  }
}
