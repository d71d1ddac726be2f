import type { Certificate } from './certificate.ts'

/** What is known of a peer whose certificate has been verified. */
export interface VerifiedPeer {
  /** What the verifier found the certificate to prove: a SPIFFE ID, or a host name. */
  readonly name: string
  /** The earliest end of validity on the path, in milliseconds since the Unix epoch. */
  readonly expiresAtMs: number
  /** From the leaf to the trust anchor; empty for a peer that proved a raw public key. */
  readonly path: readonly Certificate[]
  /** DER SubjectPublicKeyInfo, for a peer that showed no certificate but this (RFC 7250). */
  readonly rawPublicKey?: Uint8Array
}

export interface VerificationContext {
  /** What the peer is in this handshake. */
  readonly peerRole: 'server' | 'client'
  /** The name the client asked for, when it asked for one. */
  readonly serverName?: string
  readonly nowMs: number
  /** The peer's DER OCSPResponse (RFC 6960), when it was asked for and came: unverified. */
  readonly ocspResponse?: Uint8Array
  /** The peer's SignedCertificateTimestampList (RFC 6962 §3.3), when it was asked for and came: unverified. */
  readonly signedCertificateTimestamps?: Uint8Array
}

/** Decides whom a certificate chain proves. There is no connection without one where a peer must be known. */
export interface CertificateVerifier {
  /**
   * Verifies name, chain and validity; possession of the key is proven elsewhere.
   *
   * @param chain leaf first, as the peer sent it; not empty
   * @throws CertificateError with the reason, which only the operator sees
   */
  verify(chain: readonly Certificate[], context: VerificationContext): VerifiedPeer
  /**
   * Judges again, for a resumption, a peer that an equal verifier has verified before: everything that time or
   * configuration may have changed (validity, anchor, expected name), but not the signatures, which cannot change.
   * Nothing is resumed with a verifier that cannot.
   *
   * @throws CertificateError
   */
  reverify?(peer: VerifiedPeer, context: VerificationContext): void
  /** Subjects of the anchors, as DER Names; a hint to peers that have several credentials. */
  readonly authorities?: readonly Uint8Array[]
}
