import { HandfastError, messageOf } from '../errors.ts'

/** Every way in which the data plane refuses or ends traffic by itself. */
export const PROXY_ERROR_CODES = {
  PROXY_NOT_READY: 'There is no valid identity or no policy yet, so nothing is let through',
  PROXY_UNPROVEN_PEER: 'Bytes were about to move without proof of the peer, or without a permit',
  PROXY_TOKEN_REFUSED: 'The request carries a token that does not hold',
  PROXY_DENIED: 'Policy does not allow the connection or the request',
  PROXY_NO_LONGER_ALLOWED: 'A change of policy denies what was allowed when the connection began',
  PROXY_NO_LONGER_TRUSTED: "A change of trust bundles no longer covers the peer's certificate",
  PROXY_PEER_REVOKED: "The peer's certificate, its identity or an authority above it was revoked meanwhile",
  PROXY_CERTIFICATE_ENDED: 'A certificate that the connection was made with has reached its end',
  PROXY_DRAINED: 'The proxy was stopping and the connection did not finish in time',
  PROXY_HANDSHAKE_LATE: 'So many handshakes were under way that this one could not begin in time',
  PROXY_THREAD_FAILED: 'The data-plane thread that carried the connection failed',
  PROXY_VIEW_REFUSED: 'A data-plane thread did not take a new certificate, trust bundle or policy',
  PROXY_NOT_CAPTURED: 'A connection was made straight to a port that takes captured connections only',
  PROXY_BAD_DESTINATION:
    'A captured connection was meant for the proxy itself, or for a place that it cannot have been meant for',
  PROXY_DESTINATION_REFUSED:
    'The application may not connect to the destination, or nobody knows who is there',
  PROXY_CLIENT_GONE: 'The client went away before its request was complete',
  PROXY_BAD_REQUEST: 'The client sent something that is not well-formed HTTP/1.1',
  PROXY_UPSTREAM_GONE: 'The server ended the connection before its response was complete',
} as const

export type ProxyErrorCode = keyof typeof PROXY_ERROR_CODES

/** Traffic that the proxy refuses or ends. */
export class ProxyError extends HandfastError<ProxyErrorCode> {}

/** Whatever ended a connection, as an error with a code. */
export function asProxyFailure(thrown: unknown): HandfastError {
  return thrown instanceof HandfastError
    ? thrown
    : new ProxyError('PROXY_UPSTREAM_GONE', messageOf(thrown), { cause: thrown })
}
