import type { Duplex } from 'node:stream'
import { Server, type UntypedHandleCall } from '@grpc/grpc-js'
import type { Logger } from '../telemetry/log.ts'
import {
  type CertificateServiceOptions,
  issueJwtSvidHandler,
  issueSvidHandler,
} from './certificate-service.ts'
import { type ConnectionPeer, credentialsFor } from './connection-peer.ts'
import { CertificateService, SnapshotService, WitnessService } from './gen/handfast_pb.ts'
import { IstioCertificateService } from './gen/istio-ca_pb.ts'
import { serviceDefinition } from './grpc-service.ts'
import { InjectedConnections } from './injected-connections.ts'
import { createCertificateHandler } from './istio-ca-service.ts'
import type { SnapshotBoard } from './snapshot-board.ts'
import { snapshotHandler } from './snapshot-service.ts'
import { reportCertificatesHandler, type WitnessServiceOptions } from './witness-service.ts'
import type { Timers } from './timers.ts'

/** The largest request is a CSR with a token, or the reason of a refusal: none comes near it. */
const MAX_REQUEST_BYTES = 64 * 1024

/** A proxy needs one stream for snapshots and one call at a time for certificates. */
const MAX_STREAMS_PER_CONNECTION = 8

/** A connection that is quiet for so long is asked whether it lives. */
const KEEPALIVE_MS = 30_000
const KEEPALIVE_TIMEOUT_MS = 10_000

/** What calls under way are given to end, when the server closes. */
const DEFAULT_GRACE_MS = 1_000

export interface ControlServerOptions {
  readonly issuer: CertificateServiceOptions['issuer']
  readonly board: SnapshotBoard
  /** Judges the certificates that proxies meet. @default nobody does, and proxies are told so */
  readonly witness?: WitnessServiceOptions['witness'] | undefined
  readonly timers: Timers
  readonly log: Logger
  /** Serves Istio's API too, for this trust domain. @default it is not served */
  readonly istioCa?: { readonly trustDomain: string } | undefined
}

/**
 * The controller's gRPC services, over connections that someone else has accepted and secured.
 */
export class ControlServer {
  readonly #server: Server
  readonly #connections: InjectedConnections
  readonly #closing = new AbortController()

  constructor({ issuer, board, witness, timers, log, istioCa }: ControlServerOptions) {
    this.#server = new Server({
      'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
      'grpc.max_concurrent_streams': MAX_STREAMS_PER_CONNECTION,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.enable_channelz': 0,
    })
    this.#connections = new InjectedConnections(this.#server)
    const certificates = {
      issuer,
      bundles: () => board.current.bundles,
      revocations: () => board.current.revocations,
      timers,
      log,
    }
    this.#server.addService(serviceDefinition(CertificateService), {
      issueSvid: issueSvidHandler(certificates) as UntypedHandleCall,
      issueJwtSvid: issueJwtSvidHandler(certificates) as UntypedHandleCall,
    })
    if (istioCa !== undefined)
      this.#server.addService(serviceDefinition(IstioCertificateService), {
        createCertificate: createCertificateHandler({ ...certificates, ...istioCa }) as UntypedHandleCall,
      })
    if (witness !== undefined)
      this.#server.addService(serviceDefinition(WitnessService), {
        reportCertificates: reportCertificatesHandler({
          witness,
          revocations: () => board.current.revocations,
          log,
        }) as UntypedHandleCall,
      })
    this.#server.addService(serviceDefinition(SnapshotService), {
      streamSnapshots: snapshotHandler({
        board,
        timers,
        log,
        closing: this.#closing.signal,
      }) as UntypedHandleCall,
    })
  }

  /**
   * Serves a connection whose TLS handshake is done and has agreed on ALPN `h2`.
   *
   * @param peer whom the handshake proved; undefined for a client that showed no certificate
   * @param from where the connection comes from, as `host:port`
   */
  acceptConnection(connection: Duplex, peer: ConnectionPeer | undefined, from: string): void {
    this.#connections.accept(connection, credentialsFor(peer, from))
  }

  /** Sends subscribers away, lets calls under way end and connections close, and cuts what is left after `graceMs`. */
  async close(graceMs: number = DEFAULT_GRACE_MS): Promise<void> {
    this.#closing.abort()
    await this.#connections.close(graceMs)
  }
}
