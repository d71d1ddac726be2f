import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { CallCredentials, ChannelCredentials, type experimental } from '@grpc/grpc-js'
import { ControlError } from './errors.ts'

/**
 * Secures a TCP connection to the controller: TLS 1.3 with ALPN `h2`, the controller's SPIFFE ID verified. Rejects when
 * any of it fails.
 *
 * @param identified whether to show our X.509-SVID; where a join token proves us, an SVID that is no longer accepted
 *   would only be in the way
 */
export type SecureSocket = (socket: Socket, identified: boolean) => Promise<Duplex>

/** A handshake takes milliseconds; a controller that has not answered by then will not. */
const HANDSHAKE_TIMEOUT_MS = 10_000

/** gRPC channel credentials that leave the securing to our own TLS. */
export class SecureChannelCredentials extends ChannelCredentials {
  readonly #secure: SecureSocket
  readonly #identified: boolean
  #lastError: unknown

  constructor(secure: SecureSocket, identified: boolean) {
    super()
    this.#secure = secure
    this.#identified = identified
  }

  /** Why the last connection could not be secured; gRPC itself passes on only text. */
  get lastError(): unknown {
    return this.#lastError
  }

  override _isSecure(): boolean {
    return true
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other
  }

  override _createSecureConnector(
    _target: unknown,
    _options: unknown,
    callCredentials: CallCredentials = CallCredentials.createEmpty(),
  ): experimental.SecureConnector {
    return {
      connect: async (socket) => ({ socket: await this.#connect(socket), secure: true }),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials,
      destroy: () => {},
    }
  }

  /** gRPC calls it a socket, and uses it as the duplex stream that it is. */
  async #connect(socket: Socket): Promise<Socket> {
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(
      () =>
        late.reject(
          new ControlError('CONTROL_DEADLINE', `The TLS handshake took more than ${HANDSHAKE_TIMEOUT_MS} ms`),
        ),
      HANDSHAKE_TIMEOUT_MS,
    )
    try {
      return (await Promise.race([this.#secure(socket, this.#identified), late.promise])) as Socket
    } catch (error) {
      this.#lastError = error
      socket.destroy()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }
}
