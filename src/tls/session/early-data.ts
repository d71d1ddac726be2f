/**
 * What became of early data (RFC 8446 §4.2.10). Whoever is told that it was not accepted must send it again, if it
 * still makes sense.
 */
export type EarlyDataOutcome =
  | 'accepted'
  /** Neither side is to blame: it was not asked for. */
  | 'disabled'
  | 'no_session_offered'
  | 'session_not_resumed'
  | 'unsupported_for_session'
  | 'peer_declined'
  | 'hello_retry_request'
  | 'alpn_mismatch'
  | 'cipher_suite_mismatch'
  /** The ticket's age, by the two clocks, differs by more than the window: it may be a replay. */
  | 'ticket_age_skew'
  /** The ticket can be redeemed more than once, so that nothing would stop a replay. */
  | 'replayable_ticket'

/**
 * The most early data that a server should announce: declined records are skipped up to 16 KiB with their overhead, and
 * beyond that the connection fails. The number is BoringSSL's.
 */
export const MAX_EARLY_DATA_BYTES = 14_336
