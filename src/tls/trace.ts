/**
 * What the engine reports of every step, for whoever explains a handshake. Events carry no secrets.
 */
import type { GroupName } from '../crypto/provider.ts'
import type { SubjectPublicKey } from '../pki/algorithms.ts'
import type { Certificate } from '../pki/certificate.ts'
import type { TlsError } from './errors.ts'
import type { CipherSuiteName, HandshakeTypeName, SignatureSchemeName } from './registry.ts'
import type { EarlyDataOutcome } from './session/early-data.ts'
import type { TicketRefusal } from './session/ticket-refusal.ts'

export type Direction = 'sent' | 'received'

/** What protects a record: `plaintext` is what an observer can read, `early` is 0-RTT. */
export type Protection = 'plaintext' | 'early' | 'handshake' | 'application'

export interface ClientHelloDetails {
  readonly message: 'client_hello'
  readonly sessionIdBytes: number
  /** Names of the registry, or hexadecimal numbers. */
  readonly versions: readonly string[]
  readonly cipherSuites: readonly string[]
  readonly groups: readonly string[]
  readonly keyShares: readonly { readonly group: string; readonly bytes: number }[]
  readonly signatureSchemes: readonly string[]
  readonly extensions: readonly string[]
  readonly serverName?: string
  readonly alpn?: readonly string[]
  /** How many pre-shared keys are offered, tickets among them. */
  readonly offeredPsks?: number
}

export interface ServerHelloDetails {
  readonly message: 'server_hello'
  readonly version: string
  readonly cipherSuite: string
  readonly keyShare?: { readonly group: string; readonly bytes: number }
  readonly sessionIdEchoed: boolean
  /** Set when this is a HelloRetryRequest: the group it asks for, or `unchanged` when it only sets a cookie. */
  readonly retryGroup?: string
  /** The length of the cookie that a HelloRetryRequest wants back. */
  readonly cookieBytes?: number
  /** The place of the pre-shared key that is taken, among those that were offered. */
  readonly selectedPsk?: number
}

export interface EncryptedExtensionsDetails {
  readonly message: 'encrypted_extensions'
  readonly extensions: readonly string[]
  readonly alpn?: string
  /** How the server is to prove itself, and the client: `X509` or `RawPublicKey`, where the client gave a choice. */
  readonly serverCertificateType?: string
  readonly clientCertificateType?: string
}

export interface CertificateRequestDetails {
  readonly message: 'certificate_request'
  readonly signatureSchemes: readonly string[]
  /** Distinguished names, as text. */
  readonly authorities: readonly string[]
}

export interface CertificateDetails {
  readonly message: 'certificate'
  /** Leaf first; empty when the peer has none to offer, or shows a raw public key. */
  readonly chain: readonly Certificate[]
  /** What is shown in the place of certificates (RFC 7250). */
  readonly rawPublicKey?: SubjectPublicKey
  /** The names of the extensions that come with the leaf. */
  readonly stapled?: readonly string[]
  /** How the message was squeezed (RFC 8879), and its length without that. */
  readonly compression?: { readonly algorithm: string; readonly restoredBytes: number }
}

export interface CertificateVerifyDetails {
  readonly message: 'certificate_verify'
  readonly scheme: string
}

export interface NewSessionTicketDetails {
  readonly message: 'new_session_ticket'
  readonly lifetimeSeconds: number
  /** Early data that the ticket allows; absent when it allows none. */
  readonly maxEarlyDataBytes?: number
}

export interface KeyUpdateDetails {
  readonly message: 'key_update'
  /** Whether the other side is asked to renew its keys too. */
  readonly updateRequested: boolean
}

export interface OtherDetails {
  readonly message: 'finished' | 'end_of_early_data' | 'other'
}

export type MessageDetails =
  | ClientHelloDetails
  | ServerHelloDetails
  | EncryptedExtensionsDetails
  | CertificateRequestDetails
  | CertificateDetails
  | CertificateVerifyDetails
  | NewSessionTicketDetails
  | KeyUpdateDetails
  | OtherDetails

/** What became of a ticket from an earlier handshake. */
export type TicketOutcome =
  /** A client sends it, having judged again whom it stands for. */
  | { readonly outcome: 'offered'; readonly ageMs: number; readonly expiresAtMs: number }
  /** A client does not send it. */
  | ({ readonly outcome: 'withheld' } & TicketRefusal)
  | {
      readonly outcome: 'accepted'
      /** By the clock of this side. */
      readonly ageMs: number
      /** On a server: the age by the client's clock, minus that by ours. */
      readonly ageSkewMs?: number
    }
  | ({ readonly outcome: 'refused' } & TicketRefusal)

interface Timed {
  /** By the connection's clock, in milliseconds since the Unix epoch. */
  readonly atMs: number
}

export type TraceEvent = Timed &
  (
    | {
        readonly kind: 'message'
        readonly direction: Direction
        readonly type: HandshakeTypeName
        /** With its four-byte header, without record framing. */
        readonly bytes: number
        readonly protection: Protection
        readonly details: MessageDetails
      }
    /** The ClientHello inside an encrypted one (RFC 9849), which only the two ends know. */
    | { readonly kind: 'inner_hello'; readonly direction: Direction; readonly details: ClientHelloDetails }
    /** What became of Encrypted ClientHello. */
    | {
        readonly kind: 'ech'
        /** `greased` only looks as if; a server rejects what it cannot read, which may be that. */
        readonly outcome: 'offered' | 'greased' | 'accepted' | 'rejected'
        /** What an observer saw for a server name, as far as this side knows. */
        readonly publicName?: string
      }
    /** A change_cipher_spec record: it changes nothing and pleases old middleboxes (RFC 8446 appendix D.4). */
    | { readonly kind: 'change_cipher_spec'; readonly direction: Direction }
    | {
        readonly kind: 'alert'
        readonly direction: Direction
        readonly description: string
        readonly protection: Protection
      }
    /** The keys of one direction change: what follows in it is protected so. */
    | {
        readonly kind: 'keys'
        readonly direction: Direction
        readonly protection: Exclude<Protection, 'plaintext'>
      }
    /** A choice both sides are now bound to. */
    | {
        readonly kind: 'agreed'
        readonly version: 'TLS 1.3'
        readonly cipherSuite: CipherSuiteName
        readonly group: GroupName
        /** Whether both go on from an earlier handshake, so that no certificate is shown. */
        readonly resumed: boolean
        /** The external identity of the key, given to both beforehand, that the connection or its first one rests on. */
        readonly externalPsk?: Uint8Array
      }
    | ({ readonly kind: 'ticket' } & TicketOutcome)
    /** What becomes of the early data that the client asked to send: on a server when it decides, then on the client. */
    | { readonly kind: 'early_data'; readonly outcome: EarlyDataOutcome }
    /** How much a client sent early, or how much of it reached a server that takes it, once that is known. */
    | { readonly kind: 'early_bytes'; readonly direction: Direction; readonly bytes: number }
    /** The peer's chain and name hold up; without a path, its raw public key is one that is accepted. */
    | {
        readonly kind: 'identity'
        /** Set when an earlier handshake saw the proof, and only what can have changed since was judged again. */
        readonly rejudged?: true
        readonly name: string
        readonly expiresAtMs: number
        readonly path: readonly Certificate[]
      }
    /** The peer proved possession of its key, over this transcript. */
    | { readonly kind: 'possession'; readonly scheme: SignatureSchemeName }
    /** The peer's Finished matches: both saw the same messages. */
    | { readonly kind: 'transcript' }
    | { readonly kind: 'established' }
    | { readonly kind: 'closed'; readonly direction: Direction }
    | { readonly kind: 'failed'; readonly error: TlsError }
  )
