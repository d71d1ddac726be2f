import { readFile } from 'node:fs/promises'
import { messageOf } from '../errors.ts'
import { CaError } from './errors.ts'
import { httpsRequest, type HttpsAnswer, type HttpsRequest } from './https-request.ts'
import type { ReviewedPod, TokenReview, TokenReviewer } from './token-reviewer.ts'

export interface KubernetesApiOptions {
  /** Such as https://kubernetes.default.svc */
  readonly server: string
  /** PEM. */
  readonly caFile: string
  /** Our own service account's token, which is replaced now and then. */
  readonly tokenFile: string
}

type Json = Readonly<Record<string, unknown>>

/** The API server of a cluster, over HTTPS. */
export class KubernetesApi implements TokenReviewer {
  readonly #options: KubernetesApiOptions

  constructor(options: KubernetesApiOptions) {
    this.#options = options
  }

  async review(token: string, audience: string): Promise<TokenReview> {
    const body = JSON.stringify({
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [audience] },
    })
    const { status, text } = await this.#call('/apis/authentication.k8s.io/v1/tokenreviews', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    if (status !== 200 && status !== 201)
      throw unavailable(
        `it answered a TokenReview with status ${status}; the controller's service account needs the role system:auth-delegator`,
      )
    return readReview(object(parse(text)['status']))
  }

  async findPod(namespace: string, name: string): Promise<ReviewedPod | undefined> {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`
    const { status, text } = await this.#call(path)
    if (status === 404) return undefined
    if (status !== 200)
      throw unavailable(
        `it answered for the pod ${namespace}/${name} with status ${status}; the controller's service account needs to get pods, or spec.attestation.kubernetes.checkPods to be false`,
      )
    const pod = parse(text)
    const [metadata, spec, phase] = [
      object(pod['metadata']),
      object(pod['spec']),
      object(pod['status'])['phase'],
    ]
    return {
      uid: String(metadata['uid']),
      serviceAccount: String(spec['serviceAccountName']),
      nodeName: typeof spec['nodeName'] === 'string' ? spec['nodeName'] : undefined,
      ended: phase === 'Succeeded' || phase === 'Failed',
    }
  }

  async #call(path: string, options: HttpsRequest = {}): Promise<HttpsAnswer> {
    const { server, caFile, tokenFile } = this.#options
    try {
      const [ca, token] = await Promise.all([readFile(caFile, 'utf8'), readFile(tokenFile, 'utf8')])
      const headers = {
        ...options.headers,
        accept: 'application/json',
        authorization: `Bearer ${token.trim()}`,
      }
      return await httpsRequest(new URL(path, server).href, { ...options, headers, ca })
    } catch (error) {
      throw unavailable(messageOf(error), error)
    }
  }
}

/** Only what says `authenticated` and no error is taken for authenticated. */
function readReview(status: Json): TokenReview {
  const { authenticated, error, audiences, user } = status
  const { username, extra } = object(user)
  if (authenticated !== true || (error !== undefined && error !== '') || typeof username !== 'string')
    return {
      kind: 'refused',
      reason: typeof error === 'string' && error !== '' ? error : 'not authenticated',
    }
  return {
    kind: 'authenticated',
    username,
    audiences: texts(audiences),
    extra: Object.fromEntries(Object.entries(object(extra)).map(([name, values]) => [name, texts(values)])),
  }
}

function parse(text: string): Json {
  try {
    return object(JSON.parse(text))
  } catch (cause) {
    throw unavailable('its answer is not JSON', cause)
  }
}

function object(value: unknown): Json {
  return Object(value) as Json
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

function unavailable(problem: string, cause?: unknown): CaError {
  return new CaError('CA_ATTESTATION_UNAVAILABLE', `The Kubernetes API is of no use: ${problem}`, { cause })
}
