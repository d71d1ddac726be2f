/** What each data-plane thread counts. */
const COUNTERS = [
  /** Connections and requests under way. */
  'live',
  /** Handshakes of clients under way. */
  'handshakes',
  /** Accepted connections that wait for their handshake to begin. */
  'waiting',
  /** The rest only grows. */
  'accepted',
  /** Connections whose handshake could not begin in time. */
  'lateHandshakes',
  'permits',
  'denials',
  /** What policies on trial would have denied that was permitted, and the reverse. */
  'trialDenials',
  'trialPermits',
  /** Decisions that AUDIT policies noted. */
  'audits',
  /** Lines of the log that the main thread could not take in time. */
  'lostLines',
  /** Decisions that did not get into a flight log that somebody followed. */
  'lostDecisions',
  /** How often the garbage collector stopped the thread, for how many microseconds in all, and how often for more than 10 ms. */
  'collections',
  'collectionMicros',
  'longCollections',
] as const

/** What a thread has under way, and no longer has when it has died. */
const GAUGES = ['live', 'handshakes', 'waiting'] as const

export type CounterName = (typeof COUNTERS)[number]

/** Counters of all threads in memory that all of them share, so that the main thread never has to ask. */
export class Counters {
  readonly memory: SharedArrayBuffer
  readonly #cells: BigInt64Array

  /** @param memory of an instance in another thread. @default fresh, all zero */
  constructor(threads: number, memory?: SharedArrayBuffer) {
    // A row for each thread, and behind them the last id.
    const cells = threads * COUNTERS.length + 1
    this.memory = memory ?? new SharedArrayBuffer(cells * BigInt64Array.BYTES_PER_ELEMENT)
    this.#cells = new BigInt64Array(this.memory)
  }

  add(thread: number, name: CounterName, change: number): void {
    Atomics.add(this.#cells, cellOf(thread, name), BigInt(change))
  }

  read(thread: number, name: CounterName): number {
    return Number(Atomics.load(this.#cells, cellOf(thread, name)))
  }

  /** One thread's counters by name. */
  of(thread: number): Readonly<Record<CounterName, number>> {
    const entries = COUNTERS.map((name) => [name, this.read(thread, name)] as const)
    return Object.fromEntries(entries) as Record<CounterName, number>
  }

  /** Forgets what a thread had under way when it died. */
  clearGauges(thread: number): void {
    for (const name of GAUGES) Atomics.store(this.#cells, cellOf(thread, name), 0n)
  }

  /** A number that no thread has been given before, from 1. */
  nextId(): number {
    return Number(Atomics.add(this.#cells, this.#cells.length - 1, 1n)) + 1
  }
}

/** What one thread counts. */
export class CounterRow {
  readonly #counters: Counters
  readonly #thread: number

  constructor(counters: Counters, thread: number) {
    this.#counters = counters
    this.#thread = thread
  }

  add(name: CounterName, change = 1): void {
    this.#counters.add(this.#thread, name, change)
  }
}

function cellOf(thread: number, name: CounterName): number {
  return thread * COUNTERS.length + COUNTERS.indexOf(name)
}
