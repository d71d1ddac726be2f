/** The newest entries of an endless sequence, in bounded memory; the very first one may be kept beside them. */
export class Ring<T> {
  readonly #capacity: number
  readonly #keepFirst: boolean
  readonly #entries: T[] = []
  #oldest = 0
  #first: T | undefined
  #total = 0

  constructor(capacity: number, { keepFirst = false }: { readonly keepFirst?: boolean } = {}) {
    this.#capacity = capacity
    this.#keepFirst = keepFirst
  }

  /** How many were ever added. */
  get total(): number {
    return this.#total
  }

  /** @returns the entry that made room, if one did */
  add(entry: T): T | undefined {
    if (this.#total === 0 && this.#keepFirst) this.#first = entry
    this.#total++
    if (this.#entries.length < this.#capacity) {
      this.#entries.push(entry)
      return undefined
    }
    const gone = this.#entries[this.#oldest]
    this.#entries[this.#oldest] = entry
    this.#oldest = (this.#oldest + 1) % this.#capacity
    return gone === this.#first ? undefined : gone
  }

  /** What is kept, oldest first. */
  get entries(): readonly T[] {
    const inOrder = [...this.#entries.slice(this.#oldest), ...this.#entries.slice(0, this.#oldest)]
    const firstIsGone = this.#keepFirst && this.#total > this.#entries.length
    return firstIsGone ? [this.#first!, ...inOrder] : inOrder
  }
}
