import type { Random } from '../support/mutations.ts'

/** Enough for every way through a decoder, few enough to come around to each. */
const MAX_ENTRIES = 1024

/** Further outcomes are counted and not told apart: messages may quote what they were given. */
const MAX_OUTCOMES = 4096

/** The inputs that others are made from: the seeds, and the shortest input for each outcome. Bounded. */
export class Corpus {
  readonly #seeds: readonly Uint8Array[]
  readonly #outcomes = new Set<string>()
  readonly #places = new Map<string, number>()
  readonly #entries: Uint8Array[] = []
  readonly #counts = new Map<string, number>()

  constructor(seeds: readonly Uint8Array[]) {
    this.#seeds = seeds
  }

  /** How many outcomes have been told apart. */
  get outcomes(): number {
    return this.#outcomes.size
  }

  /** How often each code came out. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts
  }

  /** A seed, or something that led to an outcome of its own. */
  pick(random: Random): Uint8Array {
    const pool = this.#entries.length === 0 || random(4) === 0 ? this.#seeds : this.#entries
    return pool[random(pool.length)]!
  }

  /** Counts an outcome, and keeps the input when it is the first or the shortest to have it. */
  add(outcome: string, input: Uint8Array): void {
    const code = outcome.split(':', 1)[0]!
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1)
    if (this.#outcomes.size < MAX_OUTCOMES) this.#outcomes.add(outcome)
    const place = this.#places.get(outcome)
    if (place !== undefined) {
      if (input.length < this.#entries[place]!.length) this.#entries[place] = input.slice()
    } else if (this.#entries.length < MAX_ENTRIES) {
      this.#places.set(outcome, this.#entries.length)
      this.#entries.push(input.slice())
    }
  }
}
