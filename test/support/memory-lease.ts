import type { HeldLease, Lease, LeaseRecord } from '../../src/ca/lease.ts'

/** A lease that lasts as long as the test, and that can be taken away from its holder. */
export class MemoryLease implements Lease {
  #record: LeaseRecord | undefined
  #held = false

  tryAcquire(holder: string): Promise<HeldLease | undefined> {
    if (this.#held) return Promise.resolve(undefined)
    const term = (this.#record?.term ?? 0) + 1
    this.#record = { term, holder }
    this.#held = true
    const isHeld = (): boolean => this.#held && this.#record?.term === term
    return Promise.resolve({
      term,
      renew: () => Promise.resolve(isHeld()),
      [Symbol.dispose]: () => {
        if (isHeld()) this.#held = false
      },
    })
  }

  holder(): Promise<LeaseRecord | undefined> {
    return Promise.resolve(this.#record)
  }

  /** As when its time has run out while the holder could not renew it. */
  takeAway(): void {
    this.#held = false
  }
}
