import type { CertificateError } from '../../pki/errors.ts'

/** Why a handshake does not go on from a ticket; the peer is not told. */
export type TicketRefusal =
  | {
      readonly reason: /** A server has nothing under this name: it was used or has expired, or is somebody else's. */
        | 'unknown'
        /** A server takes none. */
        | 'tickets_disabled'
        /** A client is told no more. */
        | 'peer_declined'
        /** The server could not read the encrypted ClientHello that the ticket was in. */
        | 'ech_rejected'
        | 'cipher_suite_mismatch'
        | 'server_name_mismatch'
        /** The key, given to both sides beforehand, that the first handshake rested on is there no longer. */
        | 'external_psk_gone'
        /** The first handshake proved nobody, and somebody must be proven. */
        | 'unproven_peer'
        /** Nothing here can judge the peer of the first handshake again. */
        | 'no_verifier'
    }
  /** The peer of the first handshake would not be accepted any more. */
  | { readonly reason: 'peer_rejected'; readonly error: CertificateError }
