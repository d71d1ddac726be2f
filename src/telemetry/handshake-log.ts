import { HandshakeRecord, type HandshakeOrigin } from './handshake-record.ts'
import { Ring } from './ring.ts'

/** Connections whose handshakes are kept: minutes of a busy sidecar, a few megabytes. */
const KEPT_HANDSHAKES = 256

/**
 * Of handshakes that succeed, so many keep their steps, in a burst and then each second. Where more come, nobody follows them one
 * by one, and what they keep alive the garbage collector would have to copy. Those that fail keep theirs.
 */
const DETAILED_BURST = 64
const DETAILED_PER_SECOND = 16

/** The handshakes of the last connections, and always of the first. */
export class HandshakeLog {
  readonly #ring = new Ring<HandshakeRecord>(KEPT_HANDSHAKES, { keepFirst: true })
  readonly #nextId: () => number
  #detailed = DETAILED_BURST
  #refilledMs = -Infinity

  /** @param nextId gives every handshake of the process, in whatever thread, another number. @default counts from 1 */
  constructor(nextId?: () => number) {
    this.#nextId = nextId ?? (() => this.#ring.total + 1)
  }

  begin(origin: HandshakeOrigin): HandshakeRecord {
    const record = new HandshakeRecord(this.#nextId(), origin, () => this.#mayKeepSteps(origin))
    this.#ring.add(record)?.forget()
    return record
  }

  /** Oldest first. */
  get records(): readonly HandshakeRecord[] {
    return this.#ring.entries
  }

  find(id: number): HandshakeRecord | undefined {
    return this.#ring.entries.find((record) => record.id === id)
  }

  /** A token bucket on the clock of the handshakes themselves. */
  #mayKeepSteps({ startedAtMs }: HandshakeOrigin): boolean {
    const passedMs = Math.max(0, startedAtMs - this.#refilledMs)
    this.#detailed = Math.min(DETAILED_BURST, this.#detailed + (passedMs / 1000) * DETAILED_PER_SECOND)
    this.#refilledMs = Math.max(this.#refilledMs, startedAtMs)
    if (this.#detailed < 1) return false
    this.#detailed--
    return true
  }
}
