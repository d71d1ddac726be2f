import type { GroupName } from '../crypto/provider.ts'
import type { VerifiedPeer } from '../pki/verifier.ts'
import type { EarlyDataOutcome } from './session/early-data.ts'
import type { AnyCredential } from './options.ts'
import type { CertificateTypeName, CipherSuiteName, SignatureSchemeName } from './registry.ts'

/** What a completed handshake has settled. */
export interface Session {
  readonly role: 'client' | 'server'
  readonly version: 'TLS 1.3'
  readonly cipherSuite: CipherSuiteName
  readonly group: GroupName
  /** Whether it goes on from an earlier handshake, whose peer it takes over. */
  readonly resumed: boolean
  readonly earlyData: EarlyDataOutcome
  /** Whether the client's hello was encrypted, so that observers saw a public name in place of the real one (RFC 9849). */
  readonly echAccepted: boolean
  /** On a server that resumes: the age of the ticket by the client's clock, minus that by ours, in milliseconds. */
  readonly ticketAgeSkewMs?: number
  readonly alpn?: string
  /** What the client asked for. */
  readonly serverName?: string
  /**
   * Absent for a client that was let in without certificate, and wherever `externalPsk` is set: such a key proves no
   * name, so that whoever demands a peer refuses the connection.
   */
  readonly peer?: VerifiedPeer
  /**
   * The external identity of the key, given to both sides beforehand, that the connection rests on, also by the
   * handshake that it resumes. It stands for everyone who holds the key.
   */
  readonly externalPsk?: Uint8Array
  readonly peerSignatureScheme?: SignatureSchemeName
  /** On a server: how it proved itself, in this handshake or in the one that is gone on from. */
  readonly serverCertificateType?: CertificateTypeName
  /** What we showed. */
  readonly credential?: AnyCredential
  /** Keying material bound to this connection (RFC 8446 §7.5). */
  exportKeyingMaterial(label: string, context: Uint8Array, length: number): Uint8Array
}
