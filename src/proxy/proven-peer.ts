import type { SecuredConnection } from '../net/secured.ts'
import { ProxyError } from './errors.ts'

/**
 * Proof that the far end of a connection we opened is who the configuration names. What the pump requires on the
 * outbound side, as it requires a Permit on the inbound side.
 */
export class ProvenPeer {
  readonly #brand = true
  readonly kind = 'proven-peer'
  readonly connection: SecuredConnection
  readonly name: string

  private constructor(connection: SecuredConnection, name: string) {
    this.connection = connection
    this.name = name
  }

  /**
   * Reads the proof from the connection's own session.
   *
   * @param expected a SPIFFE ID
   * @throws ProxyError PROXY_UNPROVEN_PEER when the session proves another or none
   */
  static of(connection: SecuredConnection, expected: string): ProvenPeer {
    const name = connection.session.peer?.name
    if (name === expected) return new ProvenPeer(connection, name)
    throw new ProxyError('PROXY_UNPROVEN_PEER', `The peer proved ${name ?? 'nothing'}, expected ${expected}`)
  }

  /** Whether the value came from {@link of}; one that merely looks like it did not. */
  static is(value: unknown): value is ProvenPeer {
    return typeof value === 'object' && value !== null && #brand in value && value.#brand
  }
}
