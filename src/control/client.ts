import { create } from '@bufbuild/protobuf'
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt'
import { type ChannelOptions, Client, type MethodDefinition, type ServiceError } from '@grpc/grpc-js'
import type { Certificate } from '../pki/certificate.ts'
import type { TrustBundles } from '../identity/trust-bundle.ts'
import {
  CertificateService,
  IssueJwtSvidRequestSchema,
  type IssueSvidRequest,
  IssueSvidRequestSchema,
  ReportCertificatesRequestSchema,
  WitnessService,
} from './gen/handfast_pb.ts'
import { ControlError } from './errors.ts'
import { methodDefinition } from './grpc-service.ts'
import { controlErrorOf } from './grpc-status.ts'
import { SecureChannelCredentials, type SecureSocket } from './secure-channel.ts'
import { decodeIssuedSvid } from './message-codec.ts'
import { ReplicaChoice } from './replica-choice.ts'
import { SnapshotSubscription, type SubscribeOptions } from './snapshot-subscription.ts'
import type { Timers } from './timers.ts'

/** A call that is not answered by then has failed. */
const DEADLINE_MS = 10_000

/** State grows with the mesh's policies; this is thousands of them. */
const MAX_SNAPSHOT_BYTES = 16 * 1024 * 1024

const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_SNAPSHOT_BYTES,
  // A connection that hangs is found out, whether or not a call is under way.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // The controller is never reached through a proxy that the environment names, nor configured by DNS.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // Attempts are counted and spaced by the callers, who know what is urgent.
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_channelz': 0,
}

const ISSUE_SVID = methodDefinition(CertificateService.method.issueSvid)
const ISSUE_JWT_SVID = methodDefinition(CertificateService.method.issueJwtSvid)
const REPORT_CERTIFICATES = methodDefinition(WitnessService.method.reportCertificates)

/** Certificates of peers, which handshakes have proven; DER. */
export interface CertificateReport {
  readonly certificates: readonly Uint8Array[]
  /** What stands between them and their anchors, each once. */
  readonly issuers: readonly Uint8Array[]
}

/** A certificate chain as the controller gave it, read but not yet verified. */
export interface IssuedSvid {
  /** Leaf first. */
  readonly chain: readonly Certificate[]
  readonly bundles: TrustBundles
  /** How far the controller's clock is ahead of ours, in milliseconds, give or take half the round trip. */
  readonly clockSkewMs: number
}

/** A JWT-SVID as the controller gave it. */
export interface IssuedJwtSvid {
  readonly token: string
  readonly expiresAtMs: number
}

export interface IssueRequest {
  /** PKCS#10, DER. */
  readonly csr: Uint8Array
  /** Proves who we are, and is sent over a connection without certificate. @default none: our certificate does */
  readonly joinToken?: string
  /** In its place: a token of an OpenID Connect issuer. @default none */
  readonly oidcToken?: string
  /** In its place: the token of our Kubernetes service account. @default none */
  readonly serviceAccountToken?: string
  /** Whether the certificate stands beside the one that proves us, instead of taking its place. @default false */
  readonly forWorkload?: boolean
}

export interface ControlClientOptions {
  /** Of the controller's replicas, each `host:port`; one or more. */
  readonly addresses: readonly string[]
  readonly secure: SecureSocket
  readonly timers: Timers
  /** Uniform in [0, 1). */
  readonly random: () => number
}

/**
 * The proxy's side of the talk with the controller. Every call and every subscription has a connection of its own,
 * made when it is needed, so that it shows the certificate we have by then.
 */
export class ControlClient {
  readonly #options: ControlClientOptions
  readonly #replicas: ReplicaChoice

  constructor(options: ControlClientOptions) {
    this.#options = options
    this.#replicas = new ReplicaChoice(options.addresses, options.random)
  }

  /**
   * Asks for a certificate: one replica after the other, until one answers or all have been asked.
   *
   * @throws ControlError CONTROL_UNAVAILABLE, CONTROL_DEADLINE, CONTROL_REFUSED, CONTROL_PROTOCOL
   */
  async issueSvid(request: IssueRequest): Promise<IssuedSvid> {
    const { timers } = this.#options
    const proof = proofOf(request)
    return this.#askReplicas(async (address) => {
      const sentAtMs = timers.nowMs()
      const message = create(IssueSvidRequestSchema, {
        csr: request.csr,
        proof,
        clientTime: timestampFromMs(sentAtMs),
        forWorkload: request.forWorkload ?? false,
      })
      const response = await this.#call(ISSUE_SVID, message, {
        address,
        identified: proof.case === undefined,
      })
      return decodeIssuedSvid(response, { sentAtMs, receivedAtMs: timers.nowMs() })
    })
  }

  /**
   * Asks for a JWT-SVID, proven by our certificate.
   *
   * @param audience whom it is for
   * @throws ControlError CONTROL_UNAVAILABLE, CONTROL_DEADLINE, CONTROL_REFUSED, CONTROL_PROTOCOL
   */
  issueJwtSvid(audience: readonly string[]): Promise<IssuedJwtSvid> {
    const message = create(IssueJwtSvidRequestSchema, { audience: [...audience] })
    return this.#askReplicas(async (address) => {
      const { token, expiresAt } = await this.#call(ISSUE_JWT_SVID, message, { address, identified: true })
      if (token === '' || expiresAt === undefined)
        throw new ControlError('CONTROL_PROTOCOL', 'The controller answered without a token')
      return { token, expiresAtMs: timestampMs(expiresAt) }
    })
  }

  /** Tells one replica which certificates were met. @throws ControlError, also when the controller is too old to know */
  async reportCertificates({ certificates, issuers }: CertificateReport): Promise<void> {
    const message = create(ReportCertificatesRequestSchema, {
      certificates: [...certificates],
      issuers: [...issuers],
    })
    const { address } = this.#replicas
    await this.#call(REPORT_CERTIFICATES, message, { address, identified: true })
  }

  /** One replica after the other, until one answers or all have been asked. */
  async #askReplicas<Answer>(ask: (address: string) => Promise<Answer>): Promise<Answer> {
    for (let left = this.#replicas.count; ; left--) {
      const { address } = this.#replicas
      try {
        return await ask(address)
      } catch (error) {
        if (!isAway(error)) throw error
        this.#replicas.leave(address)
        if (left <= 1) throw error
      }
    }
  }

  /** One call on a connection of its own. */
  async #call<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    { address, identified }: { readonly address: string; readonly identified: boolean },
  ): Promise<Response> {
    const credentials = new SecureChannelCredentials(this.#options.secure, identified)
    const client = new Client(address, credentials, CHANNEL_OPTIONS)
    try {
      return await new Promise<Response>((resolve, reject) => {
        client.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          request,
          // The deadline is gRPC's own and runs on the process's clock.
          { deadline: Date.now() + DEADLINE_MS },
          (error: ServiceError | null, answer?: Response) =>
            error === null ? resolve(answer!) : reject(controlErrorOf(error, credentials.lastError)),
        )
      })
    } finally {
      client.close()
    }
  }

  /** Follows the controller's state, from now until the subscription is disposed of. It takes an SVID to be let in. */
  subscribe(options: SubscribeOptions): SnapshotSubscription {
    const { secure, timers, random } = this.#options
    const replicas = this.#replicas
    const connect = () => {
      const { address } = replicas
      const credentials = new SecureChannelCredentials(secure, true)
      return { client: new Client(address, credentials, CHANNEL_OPTIONS), credentials, address }
    }
    return new SnapshotSubscription({ ...options, connect, replicas, timers, random })
  }
}

/** Whether another replica may answer what this one did not. */
function isAway(error: unknown): boolean {
  return (
    error instanceof ControlError &&
    (error.code === 'CONTROL_UNAVAILABLE' || error.code === 'CONTROL_DEADLINE')
  )
}

function proofOf({ joinToken, oidcToken, serviceAccountToken }: IssueRequest): IssueSvidRequest['proof'] {
  if (joinToken !== undefined) return { case: 'joinToken', value: joinToken }
  if (oidcToken !== undefined) return { case: 'oidcToken', value: oidcToken }
  if (serviceAccountToken !== undefined) return { case: 'serviceAccountToken', value: serviceAccountToken }
  return { case: undefined }
}
