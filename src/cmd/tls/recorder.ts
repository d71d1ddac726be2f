import type { CryptoProvider } from '../../crypto/provider.ts'
import { explainHandshake } from '../../diagnose/explain.ts'
import type { HandshakeExplanation, Side } from '../../diagnose/explanation.ts'
import { explanationToJson } from '../../diagnose/json.ts'
import type { HandfastError } from '../../errors.ts'
import type { TraceEvent } from '../../tls/trace.ts'

/** A handshake has some 30 events; renewed keys of long connections would add without end. */
const MAX_EVENTS = 256

/** Keeps the events of one connection, to explain it. */
export class HandshakeRecorder {
  readonly #side: Side
  readonly #events: TraceEvent[] = []
  #ended: HandfastError | undefined

  constructor(side: Side) {
    this.#side = side
  }

  /** For the engine's `trace`. */
  readonly record = (event: TraceEvent): void => {
    if (this.#events.length < MAX_EVENTS || event.kind === 'failed') this.#events.push(event)
  }

  /** What ended the connection, which the engine need not have seen. */
  end(error: HandfastError): void {
    this.#ended = error
  }

  explain(): HandshakeExplanation {
    return explainHandshake(this.#events, this.#side, this.#ended)
  }

  /** How often the keys have been renewed by now, which an explanation of the handshake comes too early for; or nothing. */
  keyUpdateText(): string | undefined {
    const { keyUpdates } = this.explain().settled
    if (keyUpdates === undefined) return undefined
    return `KeyUpdates: ${keyUpdates.client} by the client, ${keyUpdates.server} by the server`
  }

  /** The explanation as one line of JSON. */
  toJsonLine(crypto: CryptoProvider): string {
    return `${JSON.stringify(explanationToJson(this.explain(), crypto))}\n`
  }
}

/** A clock for one connection: the wall clock at its start, and steady, finer steps from there. */
export function connectionClock(): () => number {
  const startedAtMs = Date.now()
  const origin = performance.now()
  return () => startedAtMs + (performance.now() - origin)
}
