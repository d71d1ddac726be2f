import { HandfastError } from '../errors.ts'
import { TlsError } from '../tls/errors.ts'
import { NetError } from './errors.ts'

/** What OpenSSL says when what comes is not TLS. */
const NOT_TLS = new Set([
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_BAD_RECORD_TYPE',
])

/** What node:tls or the connection below it reports, as an error of ours. */
export function opensslError(error: Error & { readonly code?: unknown }): HandfastError {
  if (error instanceof HandfastError) return error
  const code = typeof error.code === 'string' ? error.code : ''
  const alert = alertIn(code)
  if (alert !== undefined)
    return new TlsError('TLS_PEER_ALERT', `The peer refused the connection: ${alert}`, {
      cause: error,
      received: alert,
    })
  if (NOT_TLS.has(code))
    return new TlsError('TLS_NOT_TLS', 'The peer does not speak TLS on this connection', { cause: error })
  return new NetError('NET_OPENSSL', `OpenSSL: ${error.message}`, { cause: error })
}

/** OpenSSL's names are those of RFC 8446: ERR_SSL_TLSV1_ALERT_UNKNOWN_CA, ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED. */
function alertIn(code: string): string | undefined {
  return /^ERR_SSL_(?:SSLV3|TLSV1|TLSV13)_ALERT_(.+)$/.exec(code)?.[1]?.toLowerCase()
}
