import { nameOf } from './registry.ts'

/** RFC 8446 §6: all but close_notify and user_canceled are fatal. */
export const AlertLevel = { warning: 1, fatal: 2 } as const
export type AlertLevel = (typeof AlertLevel)[keyof typeof AlertLevel]

/** RFC 8446 §6 and appendix B.2. */
export const AlertDescription = {
  close_notify: 0,
  unexpected_message: 10,
  bad_record_mac: 20,
  record_overflow: 22,
  /** Reserved since TLS 1.3 has no compression, but still sent by some. */
  decompression_failure: 30,
  handshake_failure: 40,
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  certificate_unknown: 46,
  illegal_parameter: 47,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  decrypt_error: 51,
  protocol_version: 70,
  insufficient_security: 71,
  internal_error: 80,
  inappropriate_fallback: 86,
  user_canceled: 90,
  missing_extension: 109,
  unsupported_extension: 110,
  unrecognized_name: 112,
  bad_certificate_status_response: 113,
  unknown_psk_identity: 115,
  certificate_required: 116,
  no_application_protocol: 120,
  /** RFC 9849 §11.2. */
  ech_required: 121,
} as const
export type AlertName = keyof typeof AlertDescription

/** The registry's name of an alert, or its number. */
export function alertName(code: number): AlertName | `0x${string}` {
  return nameOf(AlertDescription, code) as AlertName | `0x${string}`
}
