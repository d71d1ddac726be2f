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
  /** None when they were not kept; see {@link stepsKept}. */
  readonly events: readonly TraceEvent[]
  /** False for a success among so many others that its steps were let go. */
  readonly stepsKept: boolean
  readonly session: SettledSession | undefined
  /** What ended the handshake, or later the connection. */
  readonly error: Error | undefined
}

/** The record of one handshake, while it is made and after. */
export class HandshakeRecord implements HandshakeFacts {
  readonly id: number
  readonly origin: HandshakeOrigin
  #events: TraceEvent[] = []
  #stepsKept = true
  #session: SettledSession | undefined
  #error: Error | undefined
  readonly #mayKeepSteps: () => boolean

  /** @param mayKeepSteps asked once, when the handshake has succeeded. @default always */
  constructor(id: number, origin: HandshakeOrigin, mayKeepSteps: () => boolean = () => true) {
    this.id = id
    this.origin = origin
    this.#mayKeepSteps = mayKeepSteps
  }

  /** Takes an event of the engine. */
  readonly trace = (event: TraceEvent): void => {
    if (this.#events.length < MAX_EVENTS && this.#stepsKept) this.#events.push(event)
  }

  /** Nobody can ask for it any more; its connection, which goes on telling, may live for days. */
  forget(): void {
    this.#stepsKept = false
    this.#events = []
  }

  established(session: SettledSession): void {
    this.#session = settled(session)
    if (!this.#mayKeepSteps()) this.forget()
  }

  failed(error: Error): void {
    this.#error ??= error
  }

  get events(): readonly TraceEvent[] {
    return this.#events
  }

  get stepsKept(): boolean {
    return this.#stepsKept
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
}: Omit<HandshakeFacts, 'events' | 'stepsKept'>): HandshakeSummary {
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
  return {
    ...handshakeSummary(facts),
    ...(!facts.stepsKept && { stepsKept: false }),
    events: facts.events.map((event) => plainJson(event)),
  }
}

/** What of a session is shown; the rest of it stays where its keys are. */
function settled({ version, cipherSuite, group, resumed, alpn, peer }: SettledSession): SettledSession {
  return {
    version,
    cipherSuite,
    ...(group !== undefined && { group }),
    resumed,
    ...(alpn !== undefined && { alpn }),
    ...(peer && { peer: { name: peer.name, expiresAtMs: peer.expiresAtMs } }),
  }
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
