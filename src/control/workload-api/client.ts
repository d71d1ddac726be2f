import { create } from '@bufbuild/protobuf'
import {
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { messageOf } from '../../errors.ts'
import type { Certificate } from '../../pki/certificate.ts'
import { parseCertificateList } from '../../pki/certificate-list.ts'
import { ControlError } from '../errors.ts'
import {
  JWTSVIDRequestSchema,
  SpiffeWorkloadAPI,
  ValidateJWTSVIDRequestSchema,
  type ValidateJWTSVIDResponse,
  X509SVIDRequestSchema,
  type X509SVIDResponse,
} from '../gen/workload-api_pb.ts'
import { methodDefinition } from '../grpc-service.ts'

/** A proxy asks its controller, which has so long itself. */
const DEADLINE_MS = 15_000

const FETCH_JWT_SVID = methodDefinition(SpiffeWorkloadAPI.method.fetchJWTSVID)
const VALIDATE_JWT_SVID = methodDefinition(SpiffeWorkloadAPI.method.validateJWTSVID)
const FETCH_X509_SVID = methodDefinition(SpiffeWorkloadAPI.method.fetchX509SVID)

/** An X.509-SVID as its holder gets it, read and not verified: the socket is trusted, or nothing is. */
export interface FetchedSvid {
  readonly spiffeId: string
  /** Leaf first. */
  readonly chain: readonly [leaf: Certificate, ...rest: Certificate[]]
  /** PKCS#8, DER. */
  readonly key: Uint8Array
  readonly anchors: readonly Certificate[]
}

/** What the Workload API says at one moment. */
export interface FetchedState {
  /** The first is the one to use. */
  readonly svids: readonly [FetchedSvid, ...FetchedSvid[]]
  /** Anchors by the SPIFFE IDs of the other trust domains. */
  readonly federated: ReadonlyMap<string, readonly Certificate[]>
}

/** A program's side of the SPIFFE Workload API. */
export class WorkloadApiClient implements Disposable {
  readonly #client: Client
  readonly #path: string

  /** @param path of the Unix socket */
  constructor(path: string) {
    this.#path = path
    this.#client = new Client(`unix:${path}`, credentials.createInsecure(), {
      'grpc.enable_http_proxy': 0,
      'grpc.enable_retries': 0,
      'grpc.enable_channelz': 0,
    })
  }

  /**
   * The present state, then each that differs, until `signal` aborts.
   *
   * @throws ControlError CONTROL_WORKLOAD_API
   */
  async *watchX509(signal: AbortSignal): AsyncGenerator<FetchedState, void, undefined> {
    const stream = this.#client.makeServerStreamRequest(
      FETCH_X509_SVID.path,
      FETCH_X509_SVID.requestSerialize,
      FETCH_X509_SVID.responseDeserialize,
      create(X509SVIDRequestSchema),
      securityHeader(),
    )
    const cancel = (): void => stream.cancel()
    signal.addEventListener('abort', cancel)
    try {
      for await (const response of stream) yield decodeState(response as X509SVIDResponse)
    } catch (error) {
      if (!signal.aborted) throw this.#refusal(error)
    } finally {
      signal.removeEventListener('abort', cancel)
      stream.cancel()
    }
  }

  /**
   * A JWT-SVID for this audience.
   *
   * @throws ControlError CONTROL_WORKLOAD_API
   */
  async fetchToken(audience: readonly string[]): Promise<string> {
    const { svids } = await this.#call(
      FETCH_JWT_SVID,
      create(JWTSVIDRequestSchema, { audience: [...audience] }),
    )
    const [first] = svids
    if (first !== undefined) return first.svid
    throw new ControlError('CONTROL_WORKLOAD_API', `The Workload API at ${this.#path} gave no token`)
  }

  /**
   * Has the Workload API judge a token.
   *
   * @returns whom it proves, with all that it claims
   * @throws ControlError CONTROL_WORKLOAD_API, which says why it does not hold
   */
  async validateToken(
    token: string,
    audience: string,
  ): Promise<Pick<ValidateJWTSVIDResponse, 'spiffeId' | 'claims'>> {
    return this.#call(VALIDATE_JWT_SVID, create(ValidateJWTSVIDRequestSchema, { audience, svid: token }))
  }

  #call<Request, Response>(method: MethodDefinition<Request, Response>, request: Request): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        securityHeader(),
        { deadline: Date.now() + DEADLINE_MS },
        (error: ServiceError | null, answer?: Response) =>
          error === null ? resolve(answer!) : reject(this.#refusal(error)),
      )
    })
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }

  #refusal(error: unknown): ControlError {
    if (error instanceof ControlError) return error
    const { code, details = messageOf(error) } = error as Partial<ServiceError>
    const name = code === undefined ? 'failed' : (status[code] ?? `status ${code}`)
    // What grpc-js puts around the reason why there is no connection.
    const reason = /Last error: (?:Error: )?(.*?)(?:\. Resolution note:.*)?$/s.exec(details)?.[1] ?? details
    return new ControlError(
      'CONTROL_WORKLOAD_API',
      `The Workload API at ${this.#path}: ${reason} (${name})`,
      {
        cause: error,
      },
    )
  }
}

function securityHeader(): Metadata {
  const metadata = new Metadata()
  metadata.set('workload.spiffe.io', 'true')
  return metadata
}

/** @throws ControlError CONTROL_WORKLOAD_API for what is no such state */
export function decodeState({ svids, federatedBundles }: X509SVIDResponse): FetchedState {
  try {
    const [first, ...rest] = svids.map(({ spiffeId, x509Svid, x509SvidKey, bundle }): FetchedSvid => {
      const [leaf, ...above] = parseCertificateList(x509Svid)
      if (leaf === undefined) throw new RangeError('an SVID has no certificate')
      return { spiffeId, chain: [leaf, ...above], key: x509SvidKey, anchors: parseCertificateList(bundle) }
    })
    if (first === undefined) throw new RangeError('there is no SVID')
    const federated = Object.entries(federatedBundles).map(
      ([id, anchors]) => [id, parseCertificateList(anchors)] as const,
    )
    return { svids: [first, ...rest], federated: new Map(federated) }
  } catch (error) {
    throw new ControlError(
      'CONTROL_WORKLOAD_API',
      `The Workload API's answer is not readable: ${messageOf(error)}`,
      {
        cause: error,
      },
    )
  }
}
