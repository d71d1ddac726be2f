import { DecodeError } from '../bytes/errors.ts'
import { CryptoError } from '../crypto/errors.ts'
import { HandfastError } from '../errors.ts'
import { CertificateError, type CertificateErrorCode } from '../pki/errors.ts'
import type { AlertName } from './alerts.ts'

/** Every way in which a TLS connection can fail. */
export const TLS_ERROR_CODES = {
  TLS_NOT_TLS: 'The peer does not speak TLS on this connection',
  TLS_DECODE_ERROR: 'A record or message is not in the format that RFC 8446 gives it',
  TLS_UNEXPECTED_MESSAGE: 'A message came at a moment when RFC 8446 does not allow it',
  TLS_ILLEGAL_PARAMETER: 'A field contradicts the negotiation or the rules of its message',
  TLS_MISSING_EXTENSION: 'A mandatory extension is absent',
  TLS_UNSOLICITED_EXTENSION: 'The peer answered an extension that was not offered',
  TLS_NO_COMMON_VERSION: 'The peer does not offer or accept TLS 1.3',
  TLS_DOWNGRADE: 'The handshake was steered to an older protocol version',
  TLS_NO_COMMON_SUITE: 'Both sides support cipher suites, but none in common',
  TLS_NO_COMMON_GROUP: 'Both sides support key agreement groups, but none in common',
  TLS_NO_COMMON_SIGNATURE_SCHEME: 'No signature scheme fits both our key and what the peer accepts',
  TLS_NO_MATCHING_ISSUER: 'No credential was issued by an authority that the peer names',
  TLS_NO_APPLICATION_PROTOCOL: 'The application protocols of both sides (ALPN) have nothing in common',
  TLS_UNRECOGNIZED_NAME: 'There is no certificate for the server name that the client asked for',
  TLS_CERTIFICATE_REQUIRED: 'The client showed no certificate where one is demanded',
  TLS_CERTIFICATE_REJECTED: "The peer's certificate does not prove an accepted identity",
  TLS_BAD_COMPRESSION: "The peer's compressed Certificate cannot be restored",
  TLS_NO_COMMON_CERTIFICATE_TYPE:
    'One side proves itself by certificate, the other asks for a raw public key, or the reverse',
  TLS_BAD_SIGNATURE: "The peer's CertificateVerify does not prove possession of its key in this handshake",
  TLS_ECH_UNREADABLE: 'The second encrypted ClientHello cannot be decrypted as the first one was',
  TLS_ECH_REJECTED: 'The server cannot read our encrypted ClientHello, and proved that it may say so',
  TLS_BAD_FINISHED: 'The two sides did not see the same handshake messages',
  TLS_BAD_BINDER: 'The client offers a pre-shared key and does not prove that it has it',
  TLS_NO_COMMON_PSK: 'No pre-shared key is common to both sides, and no certificate can take its place',
  TLS_EARLY_DATA_LIMIT: 'More early data came than is accepted, or than is skipped after it was declined',
  TLS_BAD_KEY_SHARE: "The peer's key share is malformed or leads to a forbidden secret",
  TLS_BAD_RECORD_MAC: 'A record was altered on its way, or sealed under other keys',
  TLS_RECORD_OVERFLOW: 'A record is longer than the protocol allows',
  TLS_MESSAGE_TOO_LONG: 'A handshake message is longer than this endpoint accepts',
  TLS_HELD_LIMIT: 'The peer sends more than is held while an answer from outside is awaited',
  TLS_FLOOD: 'The peer sends records that carry nothing, over and over',
  TLS_KEY_LIMIT: 'A key has protected as many records as its algorithm safely allows',
  TLS_PEER_ALERT: 'The peer refused or gave up, and said so by an alert',
  TLS_TRUNCATED: 'The connection ended without close_notify: what came may be incomplete',
  TLS_HANDSHAKE_TRUNCATED: 'The connection ended before the handshake was complete',
  TLS_HANDSHAKE_TIMEOUT: 'The peer did not complete the handshake in time',
  TLS_MISUSE: 'The engine was asked for something that its state does not allow',
  TLS_BAD_OPTIONS: 'The options of a connection contradict themselves or the crypto provider',
  TLS_INTERNAL: 'The engine failed in a way that it does not know',
} as const

export type TlsErrorCode = keyof typeof TLS_ERROR_CODES

/** Who must act: the peer's implementation, the two configurations, a certificate, the network, or we. */
export type Blame = 'peer' | 'negotiation' | 'certificate' | 'transport' | 'us'

interface Consequence {
  readonly blame: Blame
  /** What the peer is told; nothing when it has gone or has told us first. */
  readonly alert?: AlertName
}

/** The one table from error to alert (RFC 8446 §6.2). */
const CONSEQUENCES: Readonly<Record<TlsErrorCode, Consequence>> = {
  TLS_NOT_TLS: { blame: 'peer', alert: 'unexpected_message' },
  TLS_DECODE_ERROR: { blame: 'peer', alert: 'decode_error' },
  TLS_UNEXPECTED_MESSAGE: { blame: 'peer', alert: 'unexpected_message' },
  TLS_ILLEGAL_PARAMETER: { blame: 'peer', alert: 'illegal_parameter' },
  TLS_MISSING_EXTENSION: { blame: 'peer', alert: 'missing_extension' },
  TLS_UNSOLICITED_EXTENSION: { blame: 'peer', alert: 'unsupported_extension' },
  TLS_NO_COMMON_VERSION: { blame: 'negotiation', alert: 'protocol_version' },
  TLS_DOWNGRADE: { blame: 'peer', alert: 'illegal_parameter' },
  TLS_NO_COMMON_SUITE: { blame: 'negotiation', alert: 'handshake_failure' },
  TLS_NO_COMMON_GROUP: { blame: 'negotiation', alert: 'handshake_failure' },
  TLS_NO_COMMON_SIGNATURE_SCHEME: { blame: 'negotiation', alert: 'handshake_failure' },
  TLS_NO_MATCHING_ISSUER: { blame: 'negotiation', alert: 'handshake_failure' },
  TLS_NO_APPLICATION_PROTOCOL: { blame: 'negotiation', alert: 'no_application_protocol' },
  TLS_UNRECOGNIZED_NAME: { blame: 'negotiation', alert: 'unrecognized_name' },
  TLS_CERTIFICATE_REQUIRED: { blame: 'certificate', alert: 'certificate_required' },
  TLS_CERTIFICATE_REJECTED: { blame: 'certificate', alert: 'certificate_unknown' },
  TLS_BAD_COMPRESSION: { blame: 'peer', alert: 'bad_certificate' },
  TLS_NO_COMMON_CERTIFICATE_TYPE: { blame: 'negotiation', alert: 'unsupported_certificate' },
  TLS_BAD_SIGNATURE: { blame: 'peer', alert: 'decrypt_error' },
  TLS_ECH_UNREADABLE: { blame: 'peer', alert: 'decrypt_error' },
  TLS_ECH_REJECTED: { blame: 'negotiation', alert: 'ech_required' },
  TLS_BAD_FINISHED: { blame: 'peer', alert: 'decrypt_error' },
  TLS_BAD_BINDER: { blame: 'peer', alert: 'decrypt_error' },
  TLS_NO_COMMON_PSK: { blame: 'negotiation', alert: 'handshake_failure' },
  TLS_EARLY_DATA_LIMIT: { blame: 'peer', alert: 'unexpected_message' },
  TLS_BAD_KEY_SHARE: { blame: 'peer', alert: 'illegal_parameter' },
  TLS_BAD_RECORD_MAC: { blame: 'peer', alert: 'bad_record_mac' },
  TLS_RECORD_OVERFLOW: { blame: 'peer', alert: 'record_overflow' },
  TLS_MESSAGE_TOO_LONG: { blame: 'peer', alert: 'illegal_parameter' },
  TLS_HELD_LIMIT: { blame: 'us', alert: 'internal_error' },
  TLS_FLOOD: { blame: 'peer', alert: 'unexpected_message' },
  TLS_KEY_LIMIT: { blame: 'peer', alert: 'internal_error' },
  TLS_PEER_ALERT: { blame: 'peer' },
  TLS_TRUNCATED: { blame: 'transport' },
  TLS_HANDSHAKE_TRUNCATED: { blame: 'transport' },
  TLS_HANDSHAKE_TIMEOUT: { blame: 'transport', alert: 'user_canceled' },
  TLS_MISUSE: { blame: 'us', alert: 'internal_error' },
  TLS_BAD_OPTIONS: { blame: 'us', alert: 'internal_error' },
  TLS_INTERNAL: { blame: 'us', alert: 'internal_error' },
}

export interface TlsErrorOptions extends ErrorOptions {
  /** What to tell the peer. @default the alert of the code; a verifier may know a more telling one */
  readonly alert?: AlertName
  /** The alert that ended the connection, when the peer sent it. */
  readonly received?: string
  /** With TLS_ECH_REJECTED: the ECHConfigList to try again with, if the server still speaks ECH. */
  readonly retryConfigs?: Uint8Array | undefined
}

/** The end of a TLS connection, with what the operator needs to know; the peer learns the alert and no more. */
export class TlsError extends HandfastError<TlsErrorCode> {
  readonly blame: Blame
  /** The alert this error sends. */
  readonly alert: AlertName | undefined
  /** The alert that the peer sent. */
  readonly received: string | undefined
  /** What a server that rejected ECH wants used instead, authenticated under the public name (RFC 9849 §6.1.6). */
  readonly retryConfigs: Uint8Array | undefined

  constructor(code: TlsErrorCode, message: string, options: TlsErrorOptions = {}) {
    super(code, message, options)
    const { blame, alert } = CONSEQUENCES[code]
    this.blame = blame
    this.alert =
      options.alert ?? (code === 'TLS_CERTIFICATE_REJECTED' ? certificateAlert(options.cause) : alert)
    this.received = options.received
    this.retryConfigs = options.retryConfigs
  }
}

/** The alerts of refused certificates that are more telling than bad_certificate (RFC 8446 §6.2). */
const CERTIFICATE_ALERTS: Readonly<Partial<Record<CertificateErrorCode, AlertName>>> = {
  PKI_MALFORMED: 'decode_error',
  PKI_EXPIRED: 'certificate_expired',
  PKI_NOT_YET_VALID: 'certificate_expired',
  PKI_REVOKED: 'certificate_revoked',
  PKI_UNKNOWN_ISSUER: 'unknown_ca',
  PKI_UNTRUSTED_ROOT: 'unknown_ca',
  PKI_UNSUPPORTED: 'unsupported_certificate',
  PKI_WEAK_KEY: 'unsupported_certificate',
  PKI_KEY_USAGE: 'unsupported_certificate',
  PKI_EXTENDED_KEY_USAGE: 'unsupported_certificate',
}

function certificateAlert(cause: unknown): AlertName {
  if (cause instanceof CryptoError) return 'unsupported_certificate'
  return cause instanceof CertificateError
    ? (CERTIFICATE_ALERTS[cause.code] ?? 'bad_certificate')
    : 'certificate_unknown'
}

/** Whatever was thrown while a peer's bytes were handled, as the error of the connection. */
export function asTlsError(thrown: unknown): TlsError {
  if (thrown instanceof TlsError) return thrown
  if (thrown instanceof DecodeError)
    return new TlsError('TLS_DECODE_ERROR', thrown.message, { cause: thrown })
  if (thrown instanceof CryptoError && thrown.code === 'CRYPTO_INVALID_KEY_SHARE') {
    return new TlsError('TLS_BAD_KEY_SHARE', thrown.message, { cause: thrown })
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new TlsError('TLS_INTERNAL', message, { cause: thrown })
}
