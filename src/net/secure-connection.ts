import { TlsConnection } from '../tls/connection.ts'
import type { ClientOptions, ServerOptions } from '../tls/options.ts'
import type { TraceEvent } from '../tls/trace.ts'
import { runEngine, type ClientStart, type SecureConnection, type SecureLimits } from './engine-connection.ts'
import type { Connection } from './transport.ts'

/**
 * Speaks TLS as the client over `connection`, which it takes over.
 *
 * @returns when the server is verified. A server verifies us only after that (RFC 8446 §2): its refusal arrives as
 *   `closed` with TLS_PEER_ALERT
 * @throws TlsError, or NetError when the network failed first
 */
export function secureClient(
  connection: Connection,
  options: ClientOptions,
  start: ClientStart,
): Promise<SecureConnection> {
  return runEngine(connection, start, (handlers, trace) =>
    TlsConnection.client({ ...options, trace: both(trace, options.trace) }, handlers),
  )
}

/**
 * Speaks TLS as the server over `connection`, which it takes over.
 *
 * @returns when both sides are verified
 * @throws TlsError, or NetError when the network failed first
 */
export function secureServer(
  connection: Connection,
  options: ServerOptions,
  limits: SecureLimits,
): Promise<SecureConnection> {
  return runEngine(connection, limits, (handlers, trace) =>
    TlsConnection.server({ ...options, trace: both(trace, options.trace) }, handlers),
  )
}

type Trace = (event: TraceEvent) => void

function both(own: Trace, callers: Trace | undefined): Trace {
  if (callers === undefined) return own
  return (event) => {
    own(event)
    callers(event)
  }
}
