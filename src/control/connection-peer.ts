import { experimental, ServerCredentials, ServerInterceptingCall } from '@grpc/grpc-js'
import type { ServerUnaryCall } from '@grpc/grpc-js'
import type { Revocations } from '../identity/revocations.ts'
import type { SpiffeId } from '../identity/spiffe-id.ts'

/** The other end of a connection, as its TLS handshake proved it. */
export interface ConnectionPeer {
  readonly id: SpiffeId
  /** Of the certificate that proved it; hexadecimal. */
  readonly serialNumber: string
  /** When that certificate ends. */
  readonly expiresAtMs: number
  /** The key that signed it: SubjectPublicKeyInfo, DER. */
  readonly issuerKey: Uint8Array
  /** Why it is revoked by a list, in words, if it is. */
  revokedBy(revocations: Revocations | undefined): string | undefined
}

/** What every call on a connection is told about that connection. */
interface PeerContext {
  readonly transportSecurityType: 'handfast'
  readonly peer: ConnectionPeer | undefined
  /** `host:port`. */
  readonly from: string
}

/**
 * Credentials for the calls of one connection, already secured, whose peer is known.
 *
 * gRPC's own authentication context knows only certificates of node:tls, so an interceptor answers in its place; it
 * closes over the peer, and nothing that a client sends can reach it.
 */
export function credentialsFor(peer: ConnectionPeer | undefined, from: string): ServerCredentials {
  const context: PeerContext = { transportSecurityType: 'handfast', peer, from }
  return experimental.createServerCredentialsWithInterceptors(ServerCredentials.createInsecure(), [
    (_method, call) => new CallOfPeer(call, context),
  ])
}

/** The verified peer of the connection that a call came on; undefined when it showed no certificate. */
export function peerOf(
  call: Pick<ServerUnaryCall<unknown, unknown>, 'getAuthContext'>,
): ConnectionPeer | undefined {
  const context = call.getAuthContext()
  // Anything else means that a connection came in around credentialsFor.
  return context.transportSecurityType === 'handfast' ? (context as PeerContext).peer : undefined
}

class CallOfPeer extends ServerInterceptingCall {
  readonly #context: PeerContext

  constructor(call: ConstructorParameters<typeof ServerInterceptingCall>[0], context: PeerContext) {
    super(call)
    this.#context = context
  }

  override getAuthContext(): PeerContext {
    return this.#context
  }

  override getPeer(): string {
    return this.#context.from
  }
}
