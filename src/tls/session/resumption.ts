/** What both sides keep of a connection to resume it later (RFC 8446 §2.2). */
import type { VerifiedPeer } from '../../pki/verifier.ts'
import type { Eventually } from '../eventually.ts'
import type { CertificateTypeName, CipherSuiteName, SignatureSchemeName } from '../registry.ts'

/** RFC 8446 §4.6.1: no ticket may live longer than seven days. */
export const MAX_TICKET_LIFETIME_SECONDS: number = 7 * 24 * 60 * 60

/** What both halves have in common. */
export interface ResumptionState {
  /** Secret: whoever has it can resume. */
  readonly preSharedKey: Uint8Array
  readonly cipherSuite: CipherSuiteName
  readonly serverName?: string
  readonly alpn?: string
  /** Whom the certificate proved when there was one; a resumption proves the same and no more. */
  readonly peer?: VerifiedPeer
  /** The external identity of the key that the first handshake rested on, when no certificate proved anybody. */
  readonly externalPsk?: Uint8Array
  /** Of that key, which another one under its identity has not. */
  readonly externalPskTag?: Uint8Array
  readonly peerSignatureScheme?: SignatureSchemeName
  /** How the server proved itself; only a server keeps it. @default X509 */
  readonly serverCertificateType?: CertificateTypeName
  /** Obscures the ticket's age on the wire. */
  readonly ageAdd: number
  /** Early data that the server takes with this ticket; 0 is none. */
  readonly maxEarlyDataBytes: number
}

/** A client's half: single use, so that an observer cannot tell two connections to be of one client. */
export interface ClientTicket extends ResumptionState {
  readonly ticket: Uint8Array
  /** By the client's clock, in milliseconds since the Unix epoch. */
  readonly receivedAtMs: number
  readonly expiresAtMs: number
}

/** A server's half, found again by a ticket. */
export interface ServerTicketState extends ResumptionState {
  /** By the server's clock, in milliseconds since the Unix epoch. */
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

/** Where a client keeps its tickets; one for each server and credential. */
export interface ClientTicketStore {
  put(ticket: ClientTicket): void
  /** A ticket that has not expired, newest first; it is given away only once. */
  take(nowMs: number): ClientTicket | undefined
}

/** A {@link ClientTicketStore} that may be elsewhere, and answer later. */
export interface RemoteClientTickets extends Omit<ClientTicketStore, 'take'> {
  take(nowMs: number): Eventually<ClientTicket | undefined>
}

/** Where a server keeps what its tickets stand for, or a way to seal it into them. */
export interface ServerTicketStore {
  /** Whether a ticket can be redeemed only once: only then may it carry early data. */
  readonly isSingleUse: boolean
  issue(state: ServerTicketState): Uint8Array
  /** Undefined for tickets that are unknown, used, expired or not authentic. */
  redeem(ticket: Uint8Array, nowMs: number): ServerTicketState | undefined
}

/** A {@link ServerTicketStore} that may be elsewhere, such as one that replicas share, and answer later. */
export interface RemoteTicketStore extends Omit<ServerTicketStore, 'redeem'> {
  redeem(ticket: Uint8Array, nowMs: number): Eventually<ServerTicketState | undefined>
}
