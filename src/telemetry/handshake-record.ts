import type { Session } from '../tls/session.ts'
import type { TraceEvent } from '../tls/trace.ts'
import { plainJson, timeJson, type Json } from './plain-json.ts'

/** A full mutual handshake has some 30 events; a connection of hours must not add to its record for ever. */
const MAX_EVENTS = 64

/** Which connection a handshake is made on. */
export interface HandshakeOrigin {
  readonly direction: 'inbound' | 'outbound'
  /** Who made it: our own engine, or OpenSSL. @default our own */
  readonly engine?: 'handfast' | 'openssl'
  /** The name of the listener in the configuration. */
  readonly listener: string
  /** `host:port` of the other side. */
  readonly remote: string
  readonly startedAtMs: number
}

/** What a completed handshake settled, as far as it is shown. */
export interface SettledSession extends Pick<Session, 'version' | 'cipherSuite' | 'resumed' | 'alpn'> {
  /** Absent where the engine does not tell. */
  readonly group?: Session['group']
  readonly peer?: { readonly name: string; readonly expiresAtMs: number }
}

/** What is known of one handshake. */
export interface HandshakeFacts {
  /** Counts from 1 in the life of the process. */
  readonly id: number
  readonly origin: HandshakeOrigin
  readonly events: readonly TraceEvent[]
  readonly session: SettledSession | undefined
  /** What ended the handshake, or later the connection. */
  readonly error: Error | undefined
}

/** The record of one handshake, while it is made and after. */
export class HandshakeRecord implements HandshakeFacts {
  readonly id: number
  readonly origin: HandshakeOrigin
  #events: TraceEvent[] = []
  #isForgotten = false
  #session: SettledSession | undefined
  #error: Error | undefined

  constructor(id: number, origin: HandshakeOrigin) {
    this.id = id
    this.origin = origin
  }

  /** Takes an event of the engine. */
  readonly trace = (event: TraceEvent): void => {
    if (this.#events.length < MAX_EVENTS && !this.#isForgotten) this.#events.push(event)
  }

  /** Nobody can ask for it any more; its connection, which goes on telling, may live for days. */
  forget(): void {
    this.#isForgotten = true
    this.#events = []
  }

  established(session: SettledSession): void {
    this.#session = session
  }

  failed(error: Error): void {
    this.#error ??= error
  }

  get events(): readonly TraceEvent[] {
    return this.#events
  }

  get session(): SettledSession | undefined {
    return this.#session
  }

  get error(): Error | undefined {
    return this.#error
  }
}

/** A handshake in one line of a list. */
export interface HandshakeSummary {
  readonly id: number
  readonly [name: string]: Json
}

/** One line of the list. */
export function handshakeSummary({
  id,
  origin,
  session,
  error,
}: Omit<HandshakeFacts, 'events'>): HandshakeSummary {
  const { direction, engine = 'handfast', listener, remote, startedAtMs } = origin
  return {
    id,
    direction,
    engine,
    listener,
    remote,
    startedAt: timeJson(startedAtMs),
    outcome: outcomeOf(session, error),
    ...(session && sessionJson(session)),
    ...(error && { error: plainJson(error) }),
  }
}

/** The summary with every step. */
export function handshakeDetail(facts: HandshakeFacts): { readonly [name: string]: Json } {
  return { ...handshakeSummary(facts), events: facts.events.map((event) => plainJson(event)) }
}

function outcomeOf(session: SettledSession | undefined, error: Error | undefined): string {
  if (error !== undefined) return session === undefined ? 'failed' : 'failed-later'
  return session === undefined ? 'in-progress' : 'established'
}

function sessionJson({
  version,
  cipherSuite,
  group,
  alpn,
  peer,
  resumed,
}: SettledSession): Record<string, Json> {
  return {
    version,
    cipherSuite,
    ...(group !== undefined && { group }),
    resumed,
    ...(alpn !== undefined && { alpn }),
    ...(peer && { peer: peer.name, peerExpiresAt: timeJson(peer.expiresAtMs) }),
  }
}
