/** One side of a trace, driven record by record. */
import { concat, equalBytes, toHex } from '../../src/bytes/bytes.ts'
import type { CryptoProvider, KeyKind, PrivateKey } from '../../src/crypto/provider.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import type { CertificateVerifier } from '../../src/pki/verifier.ts'
import type { TlsConnection } from '../../src/tls/connection.ts'
import type { ConnectionHandlers, MessageRewriter } from '../../src/tls/handlers.ts'
import { decodeCertificate } from '../../src/tls/messages/authentication.ts'
import { asMessage } from '../../src/tls/messages/handshake-message.ts'
import { decodeServerHello, encodeServerHello } from '../../src/tls/messages/server-hello.ts'
import type { Credential } from '../../src/tls/options.ts'
import { HandshakeType } from '../../src/tls/registry.ts'
import type {
  ClientTicket,
  ClientTicketStore,
  ServerTicketState,
  ServerTicketStore,
} from '../../src/tls/session/resumption.ts'
import { readTraceCertificate, type Trace } from './rfc8448.ts'

const RECORD_HEADER_BYTES = 5

/** The certificates of the traces vouch for themselves; the tests are about bytes, not about trust. */
export const trusting: CertificateVerifier = {
  verify: (chain) => ({ name: chain[0]!.subject.text, expiresAtMs: chain[0]!.notAfterMs, path: chain }),
  reverify: () => undefined,
}

/** A connection, and what comes out of it. */
export class ReplayedSide {
  readonly connection: TlsConnection
  readonly events: string[] = []
  #output: Uint8Array[] = []

  constructor(create: (handlers: ConnectionHandlers) => TlsConnection) {
    this.connection = create({
      output: (bytes) => this.#output.push(bytes.slice()),
      established: () => this.events.push('established'),
      data: (bytes) => this.events.push(`data ${toHex(bytes)}`),
      earlyData: (bytes) => this.events.push(`early data ${toHex(bytes)}`),
      peerClosed: () => this.events.push('closed'),
      failed: (error) => this.events.push(`${error.code}: ${error.message}`),
    })
    this.connection.start()
  }

  /** Takes a record of the trace, which is left as it is. */
  receive(record: Uint8Array): void {
    this.connection.receive(record.slice())
  }

  /** What went out since the last call, as hexadecimal digits. */
  taken(): string {
    const all = toHex(concat(...this.#output))
    this.#output = []
    return all
  }
}

/** What both sides keep of the only ticket of a trace; each gives it away once. */
export class TraceTickets {
  readonly #ticket: Uint8Array | undefined
  #kept: ClientTicket | undefined
  #issued: ServerTicketState | undefined

  constructor(trace: Trace) {
    this.#ticket = trace['SessionTicket']
  }

  readonly ofClient: ClientTicketStore = {
    put: (ticket) => {
      this.#kept = ticket
    },
    take: () => {
      const taken = this.#kept
      this.#kept = undefined
      return taken
    },
  }

  /** Calls its ticket what the trace calls it. */
  readonly ofServer: ServerTicketStore = {
    isSingleUse: true,
    issue: (state) => {
      this.#issued = state
      return this.#ticket!
    },
    redeem: (ticket) => {
      const state = equalBytes(ticket, this.#ticket!) ? this.#issued : undefined
      this.#issued = undefined
      return state
    },
  }
}

/** A key that "signs" what the trace says it signed. */
export function replayKey(
  kind: KeyKind,
  crypto: CryptoProvider,
  signature: Uint8Array | undefined,
): PrivateKey {
  return {
    kind,
    publicKey: crypto.generateKey('ec-p256').publicKey,
    sign: () => signature!,
    exportPkcs8: () => new Uint8Array(0),
  }
}

/** What the server of a trace shows. */
export function serverCredential(trace: Trace, kind: KeyKind, crypto: CryptoProvider): Credential {
  const { entries } = decodeCertificate(asMessage(trace['Message_Server_Certificate']!).body)
  const chain = entries.map((entry) => parseCertificate(entry.certificate))
  return { chain, key: replayKey(kind, crypto, trace['Server_MessageSignature']) }
}

/** What the client of a trace shows. */
export function clientCredential(trace: Trace, crypto: CryptoProvider): Credential {
  const chain = [parseCertificate(readTraceCertificate('client_certificate.pem'))]
  return { chain, key: replayKey('rsa', crypto, trace['Client_MessageSignature']) }
}

/** Puts the messages of the trace in place of those whose contents are the choice of their sender. */
export function rewriter(trace: Trace): MessageRewriter {
  const hellos = [trace['Record_ClientHello_1'], trace['Record_ClientHello_2']]
  return (message) => {
    switch (message[0]!) {
      case HandshakeType.client_hello:
        return hellos.shift()!.subarray(RECORD_HEADER_BYTES)
      case HandshakeType.server_hello:
        return helloOf(trace, message)
      case HandshakeType.encrypted_extensions:
        return trace['Message_EncryptedExtensions']!
      case HandshakeType.certificate_request:
        return trace['Message_CertificateRequest']!
      default:
        return message
    }
  }
}

/** HelloRetryRequest has a cookie of NSS's; ServerHello is ours, in the order of the trace. */
function helloOf(trace: Trace, message: Uint8Array): Uint8Array {
  const hello = decodeServerHello(asMessage(message).body)
  if (hello.kind === 'hello_retry_request')
    return trace['Record_HelloRetryRequest']!.subarray(RECORD_HEADER_BYTES)
  const { extensions } = decodeServerHello(asMessage(trace['Message_ServerHello']!).body)
  return encodeServerHello({ ...hello, extensions: hello.extensions.inOrder(extensions.types) })
}
