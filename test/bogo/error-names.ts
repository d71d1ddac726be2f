/** How the suite calls our errors. */
import { TlsError, type TlsErrorCode } from '../../src/tls/errors.ts'

/** Where one code of ours covers several names of the suite, the message tells them apart: the first match counts. */
const DISTINCTIONS: Readonly<Partial<Record<TlsErrorCode, readonly (readonly [RegExp, string])[]>>> = {
  TLS_NOT_TLS: [
    [/"CONNECT/, 'HTTPS_PROXY_REQUEST'],
    [/plaintext HTTP/, 'HTTP_REQUEST'],
  ],
  TLS_DECODE_ERROR: [
    [/^ASN1_subjectPublicKeyInfo has a length of 0/, 'INVALID_RAW_PUBLIC_KEY'],
    [/^An alert has|level warning/, 'BAD_ALERT'],
    [/^(client_hello|legacy_session_id) has/, 'CLIENTHELLO_PARSE_FAILED'],
    [/^protocol_name/, 'PARSE_TLSEXT'],
    [/^(ECHConfigList|encrypted_client_hello) (has|needs)/, 'ERROR_PARSING_EXTENSION'],
    [
      /^(extension|sct_list|serialized_sct|server_name|authorities|certificate_authorities) has/,
      'ERROR_PARSING_EXTENSION',
    ],
    [/empty Certificate/, 'PEER_DID_NOT_RETURN_A_CERTIFICATE'],
    [/legacy version/, 'WRONG_VERSION_NUMBER'],
  ],
  TLS_UNEXPECTED_MESSAGE: [
    [/while we shut down/, 'APPLICATION_DATA_ON_SHUTDOWN'],
    [/goes on with messages/, 'EXCESS_HANDSHAKE_DATA'],
    [/no content type/, 'DECRYPTION_FAILED_OR_BAD_RECORD_MAC'],
    [/under the outer type/, 'INVALID_OUTER_RECORD_TYPE'],
    [
      /content type|before any keys|outside the handshake|interrupted by|before the handshake was complete/,
      'UNEXPECTED_RECORD',
    ],
    [/handshake record is empty/, 'BAD_HANDSHAKE_RECORD'],
    [/change_cipher_spec does not hold/, 'BAD_CHANGE_CIPHER_SPEC'],
  ],
  TLS_ILLEGAL_PARAMETER: [
    [/encrypted_client_hello of the type inner|offers versions other/, 'INVALID_CLIENT_HELLO_INNER'],
    [/ech_outer_extensions refers/, 'INVALID_OUTER_EXTENSION'],
    [/padding of the encrypted|encrypted under another config/, 'DECODE_ERROR'],
    [/accepted the encrypted ClientHello in/, 'INCONSISTENT_ECH_NEGOTIATION'],
    [/pre-shared key \d+, expected none/, 'UNEXPECTED_EXTENSION'],
    [/identities and/, 'PSK_IDENTITY_BINDER_COUNT_MISMATCH'],
    [/pre_shared_key is not the last/, 'PRE_SHARED_KEY_MUST_BE_LAST'],
    [/^The server takes a sha/, 'OLD_SESSION_PRF_HASH_MISMATCH'],
    [/early data under another cipher suite/, 'CIPHER_MISMATCH_ON_EARLY_DATA'],
    [/early data under another application protocol/, 'ALPN_MISMATCH_ON_EARLY_DATA'],
    [/early data without resuming/, 'UNEXPECTED_EXTENSION'],
    [/^The alert .* has the level/, 'UNKNOWN_ALERT_TYPE'],
    [/^CompressedCertificate uses/, 'UNKNOWN_CERT_COMPRESSION_ALG'],
    [/goes without saying|^tls_flags/, 'DECODE_ERROR'],
    [/^CertificateVerify uses/, 'WRONG_SIGNATURE_TYPE'],
    [/legacy_compression_methods/, 'INVALID_COMPRESSION_LIST'],
    [/twice/, 'DUPLICATE_EXTENSION'],
    [/two shares of one group/, 'DUPLICATE_KEY_SHARE'],
    [/application protocols/, 'INVALID_ALPN_PROTOCOL'],
    [/chose cipher suite|changes the cipher suite/, 'WRONG_CIPHER_RETURNED'],
    [/legacy_session_id$/, 'SERVER_ECHOED_INVALID_SESSION_ID'],
    [/would change nothing/, 'EMPTY_HELLO_RETRY_REQUEST'],
    [/no share|asks for|one share of/, 'WRONG_CURVE'],
    [/changes the version/, 'SECOND_SERVERHELLO_VERSION_MISMATCH'],
    [/selected version/, 'UNSUPPORTED_PROTOCOL: :DECODE_ERROR'],
    [/has a context|request_update|compression method/, 'DECODE_ERROR'],
    [/pre-shared key/, 'PSK_IDENTITY_NOT_FOUND'],
  ],
  TLS_MISSING_EXTENSION: [
    [/no supported_groups/, 'NO_SHARED_GROUP'],
    [/no key_share/, 'MISSING_KEY_SHARE'],
    [/CertificateRequest/, 'DECODE_ERROR'],
  ],
  TLS_CERTIFICATE_REJECTED: [
    [/OCSP response refused/, 'OCSP_CB_ERROR'],
    [/key usage/, 'KEY_USAGE_BIT_INCORRECT'],
    [/cannot be used/, 'UNSUPPORTED_ALGORITHM'],
    [/malformed|has tag|at byte/, 'CANNOT_PARSE_LEAF_CERT'],
  ],
  TLS_BAD_OPTIONS: [
    [/^signedCertificateTimestamps/, 'INVALID_SCT_LIST'],
    [/list of ECH configs/, 'INVALID_ECH_CONFIG_LIST'],
    [/None of the ECH configs/, 'UNUSABLE_ECH_CONFIG_LIST'],
  ],
  TLS_MISUSE: [[/before the handshake is complete/, 'HANDSHAKE_NOT_COMPLETE']],
  TLS_NO_COMMON_PSK: [[/psk_dhe_ke/, 'NO_SUPPORTED_PSK_MODE']],
  TLS_EARLY_DATA_LIMIT: [[/declined/, 'TOO_MUCH_SKIPPED_EARLY_DATA']],
  TLS_BAD_COMPRESSION: [[/at most \d+ are accepted/, 'UNCOMPRESSED_CERT_TOO_LARGE']],
  TLS_NO_COMMON_CERTIFICATE_TYPE: [
    [/our credential is|client's Certificate, by saying nothing/, 'UNKNOWN_CERTIFICATE_TYPE'],
  ],
  TLS_FLOOD: [
    [/KeyUpdates/, 'TOO_MANY_KEY_UPDATES'],
    [/user_canceled/, 'TOO_MANY_WARNING_ALERTS'],
  ],
  TLS_INTERNAL: [
    [/choice of a certificate/, 'CERT_CB_ERROR'],
    [/choice of an OCSP/, 'OCSP_CB_ERROR'],
  ],
  TLS_RECORD_OVERFLOW: [[/announces/, 'ENCRYPTED_LENGTH_TOO_LONG']],
}

const NAMES: Readonly<Partial<Record<TlsErrorCode, string>>> = {
  TLS_NO_COMMON_PSK: 'PSK_IDENTITY_NOT_FOUND',
  TLS_ECH_REJECTED: 'ECH_REJECTED',
  TLS_ECH_UNREADABLE: 'DECRYPTION_FAILED',
  TLS_BAD_BINDER: 'DIGEST_CHECK_FAILED',
  TLS_EARLY_DATA_LIMIT: 'TOO_MUCH_READ_EARLY_DATA',
  TLS_NOT_TLS: 'WRONG_VERSION_NUMBER',
  TLS_DECODE_ERROR: 'DECODE_ERROR',
  TLS_UNEXPECTED_MESSAGE: 'UNEXPECTED_MESSAGE',
  TLS_ILLEGAL_PARAMETER: 'ERROR_PARSING_EXTENSION',
  TLS_MISSING_EXTENSION: 'MISSING_EXTENSION',
  TLS_UNSOLICITED_EXTENSION: 'UNEXPECTED_EXTENSION',
  TLS_NO_COMMON_VERSION: 'UNSUPPORTED_PROTOCOL',
  TLS_BAD_OPTIONS: 'INVALID_ALPN_PROTOCOL',
  TLS_DOWNGRADE: 'TLS13_DOWNGRADE',
  TLS_NO_COMMON_SUITE: 'NO_SHARED_CIPHER',
  TLS_NO_COMMON_GROUP: 'NO_SHARED_GROUP',
  TLS_NO_COMMON_SIGNATURE_SCHEME: 'NO_COMMON_SIGNATURE_ALGORITHMS',
  TLS_NO_MATCHING_ISSUER: 'NO_MATCHING_ISSUER',
  TLS_NO_APPLICATION_PROTOCOL: 'NO_APPLICATION_PROTOCOL',
  TLS_UNRECOGNIZED_NAME: 'CERT_CB_ERROR',
  TLS_CERTIFICATE_REQUIRED: 'PEER_DID_NOT_RETURN_A_CERTIFICATE',
  TLS_CERTIFICATE_REJECTED: 'CERTIFICATE_VERIFY_FAILED',
  TLS_BAD_COMPRESSION: 'CERT_DECOMPRESSION_FAILED',
  TLS_NO_COMMON_CERTIFICATE_TYPE: 'UNSUPPORTED_CERTIFICATE',
  TLS_BAD_SIGNATURE: 'BAD_SIGNATURE',
  TLS_BAD_FINISHED: 'DIGEST_CHECK_FAILED',
  TLS_BAD_KEY_SHARE: 'BAD_ECPOINT',
  /** BoringSSL reports the cipher's error before its own. */
  TLS_BAD_RECORD_MAC: 'BAD_DECRYPT: :DECRYPTION_FAILED_OR_BAD_RECORD_MAC',
  TLS_RECORD_OVERFLOW: 'DATA_LENGTH_TOO_LONG',
  TLS_MESSAGE_TOO_LONG: 'EXCESSIVE_MESSAGE_SIZE',
  TLS_FLOOD: 'TOO_MANY_EMPTY_FRAGMENTS',
  TLS_HANDSHAKE_TRUNCATED: 'HANDSHAKE_FAILURE',
}

/** The line that the suite looks for on standard error. */
export function describeError(error: unknown): string {
  if (!(error instanceof TlsError))
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  return `:${nameOfError(error)}: ${error.code}: ${error.message}`
}

function nameOfError({ code, message, received }: TlsError): string {
  if (code === 'TLS_TRUNCATED') return 'SSL_shutdown: Unexpected SSL_shutdown result: -1 != 1'
  if (code === 'TLS_PEER_ALERT') return nameOfAlert(received ?? '', message)
  const distinction = DISTINCTIONS[code]?.find(([pattern]) => pattern.test(message))
  return distinction?.[1] ?? NAMES[code] ?? code
}

/** BoringSSL names an alert by the version that introduced it. */
const SSL3_ALERTS: ReadonlySet<string> = new Set([
  'unexpected_message',
  'bad_record_mac',
  'decompression_failure',
  'handshake_failure',
  'bad_certificate',
  'unsupported_certificate',
  'certificate_revoked',
  'certificate_expired',
  'certificate_unknown',
  'illegal_parameter',
])

function nameOfAlert(alert: string, message: string): string {
  // BoringSSL reports what it was doing after what it heard.
  if (alert === 'handshake_failure' && message.includes('ended the handshake'))
    return 'SSLV3_ALERT_HANDSHAKE_FAILURE: :HANDSHAKE_FAILURE_ON_CLIENT_HELLO'
  return `${SSL3_ALERTS.has(alert) ? 'SSLV3' : 'TLSV1'}_ALERT_${alert.toUpperCase()}`
}
