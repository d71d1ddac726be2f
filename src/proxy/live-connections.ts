import { ProxyError } from './errors.ts'
import type { MeshView } from './mesh-view.ts'

/** Something alive that the mesh may want to end: a connection, or a request on one. */
export interface LiveConnection {
  /** When a certificate that it rests on ends, in milliseconds since the Unix epoch. */
  readonly expiresAtMs: number
  /** When it should begin nothing new any more, so that its end interrupts nothing. @default not before it is cut */
  readonly retirement?: { readonly atMs: number; begin(): void }
  /** Whether it may go on under a new view of the mesh; if not, why. */
  judge(view: MeshView): ProxyError | undefined
  /** Ends it at once, both ways. */
  cut(reason: ProxyError): void
  /** Asks it to finish what it does and begin nothing new. */
  drain(): void
}

/** One of {@link LiveConnections}. */
interface Alive {
  readonly connection: LiveConnection
  /** Its index among them; undefined once it is gone. */
  place: number | undefined
  isRetired: boolean
}

/** setTimeout takes no more; what lives longer is looked at again. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * Everything alive. A connection is added before the first decision about it, so that no change of policy, trust or time can
 * slip between the decision and the traffic.
 */
export class LiveConnections {
  readonly #nowMs: () => number
  readonly #onSize: (change: 1 | -1) => void
  /**
   * A plain array, whose last fills the gap that one leaves. A Set grows new tables as connections come and go, and the tables that
   * it leaves behind keep what was in them until the next full collection: every connection would be copied for nothing.
   */
  readonly #alive: Alive[] = []
  #draining = false
  #timer: NodeJS.Timeout | undefined
  #timerAtMs = Infinity
  #whenEmpty: (() => void)[] = []

  /** @param onSize told of everything that is added and of everything that goes. @default nobody */
  constructor(nowMs: () => number, onSize: (change: 1 | -1) => void = () => {}) {
    this.#nowMs = nowMs
    this.#onSize = onSize
  }

  get size(): number {
    return this.#alive.length
  }

  get draining(): boolean {
    return this.#draining
  }

  /**
   * @param view judges the connection at once: what it was made under may be out of date by now. @default not judged
   * @returns what to call when the connection has ended
   */
  add(connection: LiveConnection, view?: MeshView): () => void {
    const alive: Alive = { connection, place: this.#alive.length, isRetired: false }
    this.#alive.push(alive)
    this.#onSize(1)
    const reason = view === undefined ? undefined : connection.judge(view)
    if (reason !== undefined) this.#cut(alive, reason)
    this.#watch(alive)
    if (this.#draining) connection.drain()
    return () => this.#remove(alive)
  }

  /** Judges everything anew and cuts what may not go on. */
  rejudge(view: MeshView): void {
    for (const alive of this.#all()) {
      // Its neighbour's end may have been its own.
      if (alive.place === undefined) continue
      const reason = alive.connection.judge(view)
      if (reason !== undefined) this.#cut(alive, reason)
    }
  }

  /** Ends everything at once. */
  cutAll(reason: ProxyError): void {
    for (const alive of this.#all()) this.#cut(alive, reason)
  }

  /**
   * Lets everything finish, and cuts what has not after `timeoutMs`.
   *
   * @returns how many were cut
   */
  async drain(timeoutMs: number): Promise<number> {
    this.#draining = true
    for (const { connection } of this.#all()) connection.drain()
    const timeUp = Promise.withResolvers<void>()
    const timer = setTimeout(timeUp.resolve, timeoutMs)
    await Promise.race([this.#empty(), timeUp.promise])
    clearTimeout(timer)
    const late = this.#all()
    for (const alive of late)
      this.#cut(alive, new ProxyError('PROXY_DRAINED', `Not finished after ${timeoutMs} ms of draining`))
    clearTimeout(this.#timer)
    return late.length
  }

  /** What is alive now: whoever is told may add and remove. */
  #all(): readonly Alive[] {
    return this.#alive.slice()
  }

  #empty(): Promise<void> {
    if (this.#alive.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenEmpty.push(resolve))
  }

  #cut(alive: Alive, reason: ProxyError): void {
    if (!this.#remove(alive)) return
    alive.connection.cut(reason)
  }

  /** @returns false if it was gone already */
  #remove(alive: Alive): boolean {
    if (alive.place === undefined) return false
    const last = this.#alive.pop()!
    if (last !== alive) {
      this.#alive[alive.place] = last
      last.place = alive.place
    }
    alive.place = undefined
    this.#onSize(-1)
    if (this.#alive.length > 0) return true
    for (const resolve of this.#whenEmpty) resolve()
    this.#whenEmpty = []
    return true
  }

  /** One timer for all, at the earliest retirement or end. */
  #watch({ connection, isRetired }: Alive): void {
    const atMs = isRetired
      ? connection.expiresAtMs
      : Math.min(connection.retirement?.atMs ?? Infinity, connection.expiresAtMs)
    if (atMs >= this.#timerAtMs) return
    clearTimeout(this.#timer)
    this.#timerAtMs = atMs
    const delayMs = Math.min(MAX_TIMER_MS, Math.max(0, atMs - this.#nowMs()) + 1)
    this.#timer = setTimeout(() => this.#timeHasPassed(), delayMs).unref()
  }

  #timeHasPassed(): void {
    this.#timerAtMs = Infinity
    const nowMs = this.#nowMs()
    for (const alive of this.#all()) {
      const { expiresAtMs, retirement } = alive.connection
      if (expiresAtMs < nowMs) {
        const end = new Date(expiresAtMs).toISOString()
        this.#cut(alive, new ProxyError('PROXY_CERTIFICATE_ENDED', `A certificate in use ended at ${end}`))
        continue
      }
      if (retirement !== undefined && retirement.atMs < nowMs && !alive.isRetired) {
        alive.isRetired = true
        retirement.begin()
      }
      if (alive.place !== undefined) this.#watch(alive)
    }
  }
}
