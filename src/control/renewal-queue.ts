import { DueHeap, type DueItem } from './due-heap.ts'
import type { Timers } from './timers.ts'

/**
 * The clock is looked at as often as this, whatever is due: timers stand still while a machine sleeps, and certificates go
 * on to age.
 */
const LOOK_MS = 60_000

/** The place of one identity in a queue. */
export interface RenewalPlace extends Disposable {
  /** Has it renewed at this moment, in milliseconds since the Unix epoch, and at no other that was said before. */
  renewAt(dueMs: number): void
}

interface Entry extends DueItem {
  readonly renew: () => void
}

/**
 * All renewals of a process in the order in which they are due, by the wall clock and with a single timer. Whoever is due
 * is called once and is out of the queue until it says when it wants to be called again.
 */
export class RenewalQueue {
  readonly #timers: Timers
  readonly #entries = new DueHeap<Entry>()
  #armed: { readonly atMs: number; readonly cancel: () => void } | undefined

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** The clock that the queue goes by. */
  nowMs(): number {
    return this.#timers.nowMs()
  }

  /** When the next renewal is due; undefined when nobody waits for one. */
  get soonestMs(): number | undefined {
    return this.#entries.soonest?.dueMs
  }

  /** @param renew begins a renewal; it neither waits for its end nor throws */
  join(renew: () => void): RenewalPlace {
    const entry: Entry = { renew, dueMs: 0, place: undefined }
    return {
      renewAt: (dueMs) => {
        // The clock tells whole milliseconds.
        this.#entries.put(entry, Math.ceil(dueMs))
        this.#arm()
      },
      [Symbol.dispose]: () => {
        this.#entries.remove(entry)
        this.#arm()
      },
    }
  }

  /** Sets the timer for whoever is first by now. */
  #arm(): void {
    const { soonestMs } = this
    if (soonestMs === undefined) {
      this.#armed?.cancel()
      this.#armed = undefined
      return
    }
    const nowMs = this.nowMs()
    const atMs = Math.max(nowMs, Math.min(soonestMs, nowMs + LOOK_MS))
    // A timer that comes sooner looks again and goes on from there.
    if (this.#armed !== undefined && this.#armed.atMs <= atMs) return
    this.#armed?.cancel()
    this.#armed = { atMs, cancel: this.#timers.after(atMs - nowMs, () => this.#look()) }
  }

  #look(): void {
    this.#armed = undefined
    const nowMs = this.nowMs()
    for (;;) {
      const { soonest } = this.#entries
      if (soonest === undefined || soonest.dueMs > nowMs) break
      this.#entries.remove(soonest)
      soonest.renew()
    }
    this.#arm()
  }
}
