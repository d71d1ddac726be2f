import { TlsError } from './errors.ts'
import { messageEvent, type Established } from './handshake.ts'
import { updatedTrafficSecret } from './key-schedule.ts'
import { asMessage, type HandshakeMessage } from './messages/handshake-message.ts'
import {
  decodeKeyUpdate,
  decodeNewSessionTicket,
  encodeKeyUpdate,
  encodeNewSessionTicket,
  type NewSessionTicket,
} from './messages/post-handshake.ts'
import type { ClientOptions, EndpointOptions, ServerOptions } from './options.ts'
import type { RecordReader } from './record/reader.ts'
import type { RecordWriter } from './record/writer.ts'
import { HandshakeType, nameOf } from './registry.ts'
import { issueTickets, keepTicket } from './session/ticketing.ts'

type Role = 'client' | 'server'

/** Both directions of the record layer. */
interface Records {
  readonly reader: RecordReader
  readonly writer: RecordWriter
}

/** KeyUpdates in a row, without application data between them, that are forgiven; the number is BoringSSL's. */
const MAX_UPDATES_IN_A_ROW = 32

/** Keys and messages of an established connection (RFC 8446 §4.6). */
export class PostHandshake {
  readonly #role: Role
  readonly #options: EndpointOptions
  readonly #records: Records
  readonly #established: Established
  #readSecret: Uint8Array
  #writeSecret: Uint8Array
  #updatesInARow = 0
  #owesKeyUpdate = false

  constructor(role: Role, options: EndpointOptions, records: Records, established: Established) {
    this.#role = role
    this.#options = options
    this.#records = records
    this.#established = established
    this.#readSecret = established.readSecret
    this.#writeSecret = established.writeSecret
  }

  /** Hands out the tickets of a server. */
  begin(): void {
    const { crypto, nowMs } = this.#options
    const { tickets: policy, earlyData, grease = true } = this.#options as ServerOptions
    if (this.#role === 'client' || policy === undefined || !this.#established.offeredResumption) return
    const maxEarlyDataBytes = earlyData?.maxBytes ?? 0
    for (const ticket of issueTickets(this.#established, {
      crypto,
      nowMs: nowMs(),
      policy,
      maxEarlyDataBytes,
      grease,
    })) {
      this.#send(encodeNewSessionTicket(ticket))
    }
    this.#records.writer.flush()
  }

  /**
   * Acts on a message of the peer.
   *
   * @param isLastInRecord whether nothing follows under the same keys
   * @throws TlsError TLS_UNEXPECTED_MESSAGE, TLS_FLOOD, …
   */
  receive(message: HandshakeMessage, isLastInRecord: boolean): void {
    if (message.type === HandshakeType.key_update) return this.#receiveKeyUpdate(message, isLastInRecord)
    if (message.type === HandshakeType.new_session_ticket && this.#role === 'client') {
      return this.#keepTicket(decodeNewSessionTicket(message.body))
    }
    const name = nameOf(HandshakeType, message.type)
    throw new TlsError('TLS_UNEXPECTED_MESSAGE', `${name} came after the handshake`)
  }

  /** Application data shows that the peer means it: floods are counted anew. */
  sawApplicationData(): void {
    this.#updatesInARow = 0
  }

  /**
   * Whether the peer waits for our KeyUpdate, which must come before our next application data and no sooner: so
   * a silent receiver answers any number of requests once (RFC 8446 §4.6.3).
   */
  get owesKeyUpdate(): boolean {
    return this.#owesKeyUpdate
  }

  /** Replaces our write key, and tells the peer. */
  updateWriteKey({ updateRequested }: { readonly updateRequested: boolean }): void {
    const { suite } = this.#established
    this.#send(encodeKeyUpdate({ updateRequested }))
    this.#writeSecret = updatedTrafficSecret(this.#options.crypto, suite.hash, this.#writeSecret)
    this.#records.writer.protect(suite, this.#writeSecret, 'application')
    this.#owesKeyUpdate = false
  }

  /** Forgets all secrets. */
  wipe(): void {
    this.#readSecret.fill(0)
    this.#writeSecret.fill(0)
    this.#established.exporter[Symbol.dispose]()
    this.#established.resumptionSecret.fill(0)
  }

  #receiveKeyUpdate({ body }: HandshakeMessage, isLastInRecord: boolean): void {
    const { updateRequested } = decodeKeyUpdate(body)
    if (!isLastInRecord)
      throw new TlsError('TLS_UNEXPECTED_MESSAGE', 'A record goes on with messages after KeyUpdate')
    if (++this.#updatesInARow > MAX_UPDATES_IN_A_ROW) {
      throw new TlsError(
        'TLS_FLOOD',
        `The peer sent more than ${MAX_UPDATES_IN_A_ROW} KeyUpdates without data between them`,
      )
    }
    const { suite } = this.#established
    this.#readSecret = updatedTrafficSecret(this.#options.crypto, suite.hash, this.#readSecret)
    this.#records.reader.protect(suite, this.#readSecret, 'application')
    if (updateRequested) this.#owesKeyUpdate = true
  }

  /** A ticket is an offer: a client that resumes nothing lets it pass. */
  #keepTicket(message: NewSessionTicket): void {
    const { crypto, nowMs } = this.#options
    const { tickets } = this.#options as ClientOptions
    if (tickets === undefined) return
    const ticket = keepTicket(this.#established, message, { crypto, nowMs: nowMs() })
    if (ticket !== undefined) tickets.put(ticket)
  }

  #send(message: Uint8Array): void {
    const { trace, nowMs } = this.#options
    this.#records.writer.queueHandshake(message)
    trace?.(messageEvent('sent', asMessage(message), 'application', nowMs()))
  }
}
