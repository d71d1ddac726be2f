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

/** setTimeout takes no more; what lives longer is looked at again. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * Everything alive. A connection is added before the first decision about it, so that no change of policy, trust or time can
 * slip between the decision and the traffic.
 */
export class LiveConnections {
  readonly #nowMs: () => number
  readonly #onSize: (change: 1 | -1) => void
  readonly #alive = new Set<LiveConnection>()
  #draining = false
  #timer: NodeJS.Timeout | undefined
  #timerAtMs = Infinity
  readonly #retired = new WeakSet<LiveConnection>()
  #whenEmpty: (() => void)[] = []

  /** @param onSize told of everything that is added and of everything that goes. @default nobody */
  constructor(nowMs: () => number, onSize: (change: 1 | -1) => void = () => {}) {
    this.#nowMs = nowMs
    this.#onSize = onSize
  }

  get size(): number {
    return this.#alive.size
  }

  get draining(): boolean {
    return this.#draining
  }

  /**
   * @param view judges the connection at once: what it was made under may be out of date by now. @default not judged
   * @returns what to call when the connection has ended
   */
  add(connection: LiveConnection, view?: MeshView): () => void {
    this.#alive.add(connection)
    this.#onSize(1)
    const reason = view === undefined ? undefined : connection.judge(view)
    if (reason !== undefined) this.#cut(connection, reason)
    this.#watch(connection)
    if (this.#draining) connection.drain()
    return () => this.#remove(connection)
  }

  /** Judges everything anew and cuts what may not go on. */
  rejudge(view: MeshView): void {
    for (const connection of this.#alive) {
      const reason = connection.judge(view)
      if (reason !== undefined) this.#cut(connection, reason)
    }
  }

  /** Ends everything at once. */
  cutAll(reason: ProxyError): void {
    for (const connection of this.#alive) this.#cut(connection, reason)
  }

  /**
   * Lets everything finish, and cuts what has not after `timeoutMs`.
   *
   * @returns how many were cut
   */
  async drain(timeoutMs: number): Promise<number> {
    this.#draining = true
    for (const connection of this.#alive) connection.drain()
    const timeUp = Promise.withResolvers<void>()
    const timer = setTimeout(timeUp.resolve, timeoutMs)
    await Promise.race([this.#empty(), timeUp.promise])
    clearTimeout(timer)
    const late = [...this.#alive]
    for (const connection of late)
      this.#cut(connection, new ProxyError('PROXY_DRAINED', `Not finished after ${timeoutMs} ms of draining`))
    clearTimeout(this.#timer)
    return late.length
  }

  #empty(): Promise<void> {
    if (this.#alive.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenEmpty.push(resolve))
  }

  #cut(connection: LiveConnection, reason: ProxyError): void {
    this.#remove(connection)
    connection.cut(reason)
  }

  #remove(connection: LiveConnection): void {
    if (!this.#alive.delete(connection)) return
    this.#onSize(-1)
    if (this.#alive.size > 0) return
    for (const resolve of this.#whenEmpty) resolve()
    this.#whenEmpty = []
  }

  /** One timer for all, at the earliest retirement or end. */
  #watch(connection: LiveConnection): void {
    const atMs = this.#retired.has(connection)
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
    for (const connection of this.#alive) {
      if (connection.expiresAtMs < nowMs) {
        const end = new Date(connection.expiresAtMs).toISOString()
        this.#cut(
          connection,
          new ProxyError('PROXY_CERTIFICATE_ENDED', `A certificate in use ended at ${end}`),
        )
        continue
      }
      if (connection.retirement !== undefined && connection.retirement.atMs < nowMs) this.#retire(connection)
      this.#watch(connection)
    }
  }

  #retire(connection: LiveConnection): void {
    if (this.#retired.has(connection)) return
    this.#retired.add(connection)
    connection.retirement?.begin()
  }
}
