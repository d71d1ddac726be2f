import type { TlsEngine } from '../config/proxy-config.ts'
import type { SecureLimits } from '../net/engine-connection.ts'
import { secureClient, secureServer } from '../net/secure-connection.ts'
import type { SecuredConnection } from '../net/secured.ts'
import type { Connection } from '../net/transport.ts'
import type { TraceEvent } from '../tls/trace.ts'
import type { MeshView } from './mesh-view.ts'
import type { PeerTarget } from './open-peer.ts'
import { clientOptions, serverOptions, type TlsServices } from './mutual-tls.ts'

/** A handshake under a view of the mesh. */
export interface MutualHandshake extends SecureLimits {
  readonly view: MeshView
  readonly trace: (event: TraceEvent) => void
}

/** Who makes the connections of the data plane secure. Whoever it is, nobody gets a byte before the peer is verified. */
export interface SecureTransport {
  readonly name: TlsEngine
  /** To the peer of `target` and nobody else. @throws TlsError, NetError */
  connect(raw: Connection, target: PeerTarget, handshake: MutualHandshake): Promise<SecuredConnection>
  /** From anyone whom the trust bundles know; policy decides the rest. @throws TlsError, NetError */
  accept(raw: Connection, handshake: MutualHandshake): Promise<SecuredConnection>
}

/** Our own engine. */
export function engineTransport(tls: TlsServices): SecureTransport {
  return {
    name: 'handfast',
    connect: (raw, target, { view, trace, ...limits }) =>
      secureClient(raw, clientOptions(tls, view, { target, trace }), limits),
    accept: (raw, { view, trace, ...limits }) => secureServer(raw, serverOptions(tls, view, trace), limits),
  }
}
