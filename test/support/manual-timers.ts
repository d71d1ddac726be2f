import type { Timers } from '../../src/control/timers.ts'

interface Pending {
  readonly atMs: number
  readonly run: () => void
}

/** A clock that stands still until a test moves it. */
export class ManualTimers implements Timers {
  #nowMs: number
  readonly #pending = new Set<Pending>()

  constructor(nowMs: number = Date.UTC(2026, 0, 1)) {
    this.#nowMs = nowMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    const pending = { atMs: this.#nowMs + delayMs, run }
    this.#pending.add(pending)
    return () => this.#pending.delete(pending)
  }

  /** How far off the calls are that wait, soonest first. */
  get delaysMs(): readonly number[] {
    return Array.from(this.#pending, ({ atMs }) => atMs - this.#nowMs).sort((a, b) => a - b)
  }

  /** Moves the clock and makes the calls that are due, in order. */
  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs
    for (;;) {
      const [next] = [...this.#pending].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)
      if (next === undefined) break
      this.#pending.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.run()
    }
    this.#nowMs = endMs
  }

  /** Moves the clock and makes no calls, as when a machine sleeps. */
  sleep(byMs: number): void {
    this.#nowMs += byMs
  }
}
