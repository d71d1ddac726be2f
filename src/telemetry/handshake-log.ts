import { HandshakeRecord, type HandshakeOrigin } from './handshake-record.ts'
import { Ring } from './ring.ts'

/** Connections whose handshakes are kept: minutes of a busy sidecar, a few megabytes. */
const KEPT_HANDSHAKES = 256

/** The handshakes of the last connections, and always of the first. */
export class HandshakeLog {
  readonly #ring = new Ring<HandshakeRecord>(KEPT_HANDSHAKES, { keepFirst: true })
  readonly #nextId: () => number

  /** @param nextId gives every handshake of the process, in whatever thread, another number. @default counts from 1 */
  constructor(nextId?: () => number) {
    this.#nextId = nextId ?? (() => this.#ring.total + 1)
  }

  begin(origin: HandshakeOrigin): HandshakeRecord {
    const record = new HandshakeRecord(this.#nextId(), origin)
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
}
