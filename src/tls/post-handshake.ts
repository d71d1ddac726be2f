import type { CryptoProvider } from '../crypto/provider.ts'
import { TlsError } from './errors.ts'
import type { Established } from './handshake.ts'
import { updatedTrafficSecret } from './key-schedule.ts'
import type { HandshakeMessage } from './messages/handshake-message.ts'
import { decodeKeyUpdate, decodeNewSessionTicket, encodeKeyUpdate } from './messages/post-handshake.ts'
import type { RecordLayer } from './record/record-layer.ts'
import { HandshakeType, nameOf, type CipherSuiteParameters } from './registry.ts'

/** KeyUpdates in a row, without application data between them, that are forgiven; the number is BoringSSL's. */
const MAX_UPDATES_IN_A_ROW = 32

/** Keys and messages of an established connection (RFC 8446 §4.6). */
export class PostHandshake {
  readonly #crypto: CryptoProvider
  readonly #records: RecordLayer
  readonly #role: 'client' | 'server'
  readonly #suite: CipherSuiteParameters
  readonly #exporterSecret: Uint8Array
  #readSecret: Uint8Array
  #writeSecret: Uint8Array
  #updatesInARow = 0

  constructor(crypto: CryptoProvider, records: RecordLayer, established: Established) {
    this.#crypto = crypto
    this.#records = records
    this.#role = established.session.role
    this.#suite = established.suite
    this.#exporterSecret = established.exporterSecret
    this.#readSecret = established.readSecret
    this.#writeSecret = established.writeSecret
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
      // Tickets are an offer; a client that resumes nothing only checks their form.
      decodeNewSessionTicket(message.body)
      return
    }
    const name = nameOf(HandshakeType, message.type)
    throw new TlsError('TLS_UNEXPECTED_MESSAGE', `${name} came after the handshake`)
  }

  /** Application data shows that the peer means it: floods are counted anew. */
  sawApplicationData(): void {
    this.#updatesInARow = 0
  }

  /** Replaces our write key, and tells the peer; returns what was sent, for the trace. */
  updateWriteKey({ updateRequested }: { readonly updateRequested: boolean }): Uint8Array {
    const message = encodeKeyUpdate({ updateRequested })
    this.#records.queueHandshake(message)
    this.#writeSecret = updatedTrafficSecret(this.#crypto, this.#suite.hash, this.#writeSecret)
    this.#records.protectWriting(this.#suite, this.#writeSecret, 'application')
    return message
  }

  /** Forgets all secrets. */
  wipe(): void {
    this.#readSecret.fill(0)
    this.#writeSecret.fill(0)
    this.#exporterSecret.fill(0)
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
    this.#readSecret = updatedTrafficSecret(this.#crypto, this.#suite.hash, this.#readSecret)
    this.#records.protectReading(this.#suite, this.#readSecret, 'application')
    if (updateRequested) this.updateWriteKey({ updateRequested: false })
  }
}
