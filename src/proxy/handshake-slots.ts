import type { CounterRow } from './threads/counters.ts'

interface Waiter {
  begin(): void
}

/**
 * Bounds the handshakes that a thread has under way: each costs a millisecond of processor and some memory, while a connection
 * that waits costs next to nothing. Who comes first is served first.
 */
export class HandshakeSlots {
  readonly #counters: CounterRow
  #free: number
  readonly #waiting = new Set<Waiter>()

  constructor(slots: number, counters: CounterRow) {
    this.#free = slots
    this.#counters = counters
  }

  /**
   * Waits for a slot.
   *
   * @param timeoutMs after which nobody wants it any more
   * @returns what frees it again, or undefined when the time is up
   */
  take(timeoutMs: number): Promise<(() => void) | undefined> | (() => void) {
    if (this.#free > 0) return this.#begin()
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        leave()
        this.#counters.add('lateHandshakes')
        resolve(undefined)
      }, timeoutMs)
      const leave = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(waiter)
        this.#counters.add('waiting', -1)
      }
      const waiter = {
        begin: () => {
          leave()
          resolve(this.#begin())
        },
      }
      this.#waiting.add(waiter)
      this.#counters.add('waiting')
    })
  }

  #begin(): () => void {
    this.#free--
    this.#counters.add('handshakes')
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      this.#free++
      this.#counters.add('handshakes', -1)
      const [next] = this.#waiting
      next?.begin()
    }
  }
}
