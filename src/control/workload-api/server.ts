import type { Duplex } from 'node:stream'
import { Server, type UntypedHandleCall } from '@grpc/grpc-js'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { SpiffeWorkloadAPI } from '../gen/workload-api_pb.ts'
import { serviceDefinition } from '../grpc-service.ts'
import { InjectedConnections } from '../injected-connections.ts'
import type { Timers } from '../timers.ts'
import { workloadCredentials } from './admission.ts'
import type { WorkloadIdentity } from './identity-feed.ts'
import { jwtBundlesHandler, jwtSvidHandler, validateJwtSvidHandler } from './jwt.ts'
import { x509BundlesHandler, x509SvidHandler } from './x509.ts'

/** The largest request is a token to be judged, of at most 16 kB. */
const MAX_REQUEST_BYTES = 64 * 1024

/** A library follows two or three streams and makes a call now and then. */
const MAX_STREAMS_PER_CONNECTION = 64

/** What calls under way are given to end, when the server closes. */
const GRACE_MS = 500

export interface WorkloadApiOptions {
  readonly identity: WorkloadIdentity
  readonly timers: Timers
  readonly crypto: CryptoProvider
}

/** The SPIFFE Workload API over connections that someone else has accepted, and whose processes are known. */
export class WorkloadApiServer {
  readonly #connections: InjectedConnections
  readonly #closing = new AbortController()

  constructor({ identity, timers, crypto }: WorkloadApiOptions) {
    const server = new Server({
      'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
      'grpc.max_concurrent_streams': MAX_STREAMS_PER_CONNECTION,
      'grpc.enable_channelz': 0,
    })
    this.#connections = new InjectedConnections(server)
    const options = { identity, timers, closing: this.#closing.signal }
    server.addService(serviceDefinition(SpiffeWorkloadAPI), {
      fetchX509SVID: x509SvidHandler(options) as UntypedHandleCall,
      fetchX509Bundles: x509BundlesHandler(options) as UntypedHandleCall,
      fetchJWTSVID: jwtSvidHandler(options) as UntypedHandleCall,
      fetchJWTBundles: jwtBundlesHandler(options) as UntypedHandleCall,
      validateJWTSVID: validateJwtSvidHandler(options, crypto) as UntypedHandleCall,
    })
  }

  /**
   * Serves a connection on a Unix socket.
   *
   * @param permitted whether the operator permits the process at its other end; one that is not is told so by each call
   */
  acceptConnection(connection: Duplex, permitted: boolean): void {
    this.#connections.accept(connection, workloadCredentials(permitted))
  }

  /** Ends streams, and cuts what is left after a moment. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#connections.close(GRACE_MS)
  }
}
