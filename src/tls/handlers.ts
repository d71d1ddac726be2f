import type { TlsError } from './errors.ts'
import type { Session } from './session.ts'

/** Where a connection delivers; every function is called synchronously from a method of the connection. */
export interface ConnectionHandlers {
  /** Bytes for the wire, in order; the view is valid only during the call. */
  output(ciphertext: Uint8Array): void
  /** Both sides have proven themselves, as far as the options demand; data may flow. */
  established(session: Session): void
  /** What the peer sent; the view is valid only during the call. */
  data(plaintext: Uint8Array): void
  /** What the client sent before it was known: it may be a replay. Required where early data is taken. */
  earlyData?(plaintext: Uint8Array): void
  /** The peer ended its half in order (close_notify). */
  peerClosed(): void
  /**
   * Whether the handshake waits for an answer from outside (a signature, say). What comes meanwhile is held, up to a
   * limit, so the transport should be paused.
   */
  waiting?(isWaiting: boolean): void
  /** The connection is over; the alert for the peer has gone to {@link output}. Nothing follows. */
  failed(error: TlsError): void
}

/**
 * A seam for tests: sees every handshake message before it is sent and may return another in its place. Traces of
 * RFC 8448 are replayed through it, and faults injected.
 */
export type MessageRewriter = (message: Uint8Array) => Uint8Array
