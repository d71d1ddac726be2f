import { explainHandshake } from '../diagnose/explain.ts'
import type { HandshakeExplanation } from '../diagnose/explanation.ts'
import { HandfastError } from '../errors.ts'
import type { Session } from '../tls/session.ts'
import type { TraceEvent } from '../tls/trace.ts'
import { plainJson, timeJson, type Json } from './plain-json.ts'
import { Ring } from './ring.ts'

/** Connections whose handshakes are kept: minutes of a busy sidecar, a few megabytes. */
const KEPT_HANDSHAKES = 256

/** A full mutual handshake has some 30 events; a connection of hours must not add to its record for ever. */
const MAX_EVENTS = 64

/** Which connection a handshake is made on. */
export interface HandshakeOrigin {
  readonly direction: 'inbound' | 'outbound'
  /** The name of the listener in the configuration. */
  readonly listener: string
  /** `host:port` of the other side. */
  readonly remote: string
  readonly startedAtMs: number
}

/** What is known of one handshake, while it is made and after. */
export class HandshakeRecord {
  /** Counts from 1 in the life of the process. */
  readonly id: number
  readonly origin: HandshakeOrigin
  readonly #events: TraceEvent[] = []
  #session: Session | undefined
  #error: Error | undefined

  constructor(id: number, origin: HandshakeOrigin) {
    this.id = id
    this.origin = origin
  }

  /** Takes an event of the engine. */
  readonly trace = (event: TraceEvent): void => {
    if (this.#events.length < MAX_EVENTS) this.#events.push(event)
  }

  established(session: Session): void {
    this.#session = session
  }

  failed(error: Error): void {
    this.#error ??= error
  }

  /** One line of the list. */
  get summary(): { readonly [name: string]: Json } {
    const { direction, listener, remote, startedAtMs } = this.origin
    return {
      id: this.id,
      direction,
      listener,
      remote,
      startedAt: timeJson(startedAtMs),
      outcome: this.#outcome,
      ...(this.#session && sessionJson(this.#session)),
      ...(this.#error && { error: plainJson(this.#error) }),
    }
  }

  /** The summary with every step. */
  get detail(): { readonly [name: string]: Json } {
    return { ...this.summary, events: this.#events.map((event) => plainJson(event)) }
  }

  /** The handshake as far as it came, explained from our side of it. */
  explain(): HandshakeExplanation {
    const side = this.origin.direction === 'outbound' ? 'client' : 'server'
    return explainHandshake(
      this.#events,
      side,
      this.#error instanceof HandfastError ? this.#error : undefined,
    )
  }

  get #outcome(): string {
    if (this.#error !== undefined) return this.#session === undefined ? 'failed' : 'failed-later'
    return this.#session === undefined ? 'in-progress' : 'established'
  }
}

/** The handshakes of the last connections, and always of the first. */
export class HandshakeLog {
  readonly #ring = new Ring<HandshakeRecord>(KEPT_HANDSHAKES, { keepFirst: true })

  begin(origin: HandshakeOrigin): HandshakeRecord {
    const record = new HandshakeRecord(this.#ring.total + 1, origin)
    this.#ring.add(record)
    return record
  }

  /** Oldest first. */
  get records(): readonly HandshakeRecord[] {
    return this.#ring.entries
  }

  find(id: number): HandshakeRecord | undefined {
    return this.#ring.entries.find((record) => record.id === id)
  }
}

function sessionJson({ version, cipherSuite, group, alpn, peer, resumed }: Session): Record<string, Json> {
  return {
    version,
    cipherSuite,
    group,
    resumed,
    ...(alpn !== undefined && { alpn }),
    ...(peer && { peer: peer.name, peerExpiresAt: timeJson(peer.expiresAtMs) }),
  }
}
