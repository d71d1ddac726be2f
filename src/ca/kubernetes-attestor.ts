import { SpiffeId } from '../identity/spiffe-id.ts'
import { parseToken } from '../identity/token.ts'
import { checkClaims } from '../identity/token-claims.ts'
import type { AttestedCaller, Attestor, Evidence } from './attestation.ts'
import { CaError } from './errors.ts'
import { refusingTokens } from './refusing-tokens.ts'
import type { TokenReview, TokenReviewer } from './token-reviewer.ts'

export interface KubernetesAttestorOptions {
  readonly reviewer: TokenReviewer
  readonly trustDomain: string
  /** What tokens must be for. */
  readonly audience: string
  readonly clockSkewMs: number
  /** Whether the pod that a token is bound to is looked up, beside what the API does by itself. */
  readonly checkPods: boolean
}

/** RFC 1123 labels and names, as Kubernetes has them. */
const USERNAME =
  /^system:serviceaccount:([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?):([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)$/

/** What a bound token is bound to, in the `extra` of its user. */
const BOUND = {
  podName: 'authentication.kubernetes.io/pod-name',
  podUid: 'authentication.kubernetes.io/pod-uid',
  nodeName: 'authentication.kubernetes.io/node-name',
} as const

/**
 * Proves a caller by the token of its Kubernetes service account, which the cluster's own API judges: the identity is
 * `/ns/<namespace>/sa/<service account>`.
 */
export class KubernetesAttestor implements Attestor<'kubernetes'> {
  readonly #options: KubernetesAttestorOptions

  constructor(options: KubernetesAttestorOptions) {
    this.#options = options
  }

  /** @throws CaError CA_TOKEN_…, CA_POD_GONE, CA_ATTESTATION_UNAVAILABLE */
  async attest(
    { token }: Extract<Evidence, { kind: 'kubernetes' }>,
    { nowMs }: { readonly nowMs: number },
  ): Promise<AttestedCaller> {
    const { reviewer, audience, trustDomain } = this.#options
    const review = await reviewer.review(token, audience)
    if (review.kind === 'refused') throw this.#refusal(token, review.reason, nowMs)
    // An API that ignores audiences says so by leaving them out: then it has not checked them.
    if (!review.audiences.includes(audience))
      throw new CaError(
        'CA_TOKEN_AUDIENCE',
        `The token is for ${JSON.stringify(review.audiences)}, and not for ${JSON.stringify(audience)}`,
      )
    const [, namespace, serviceAccount] = USERNAME.exec(review.username) ?? []
    if (namespace === undefined || serviceAccount === undefined)
      throw new CaError(
        'CA_TOKEN_CLAIMS',
        `The token is of ${JSON.stringify(review.username)}, which is no service account`,
      )
    const pod = await this.#checkPod(review, { namespace, serviceAccount })
    return {
      id: SpiffeId.parse(`spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`),
      proof: `kubernetes:${pod ?? `${namespace}/${serviceAccount}`}`,
    }
  }

  /** The pod that the token is bound to, for the journal; undefined for a token that is bound to none. */
  async #checkPod(
    { extra }: Extract<TokenReview, { kind: 'authenticated' }>,
    { namespace, serviceAccount }: { readonly namespace: string; readonly serviceAccount: string },
  ): Promise<string | undefined> {
    const [name, uid, node] = [BOUND.podName, BOUND.podUid, BOUND.nodeName].map((key) => extra[key]?.[0])
    if (name === undefined || uid === undefined) return undefined
    const label = `${namespace}/${name} ${uid}${node === undefined ? '' : ` on ${node}`}`
    if (!this.#options.checkPods) return label
    const pod = await this.#options.reviewer.findPod(namespace, name)
    if (pod === undefined || pod.uid !== uid || pod.ended)
      throw new CaError('CA_POD_GONE', `The token is bound to the pod ${label}, which is no more`)
    if (pod.serviceAccount !== serviceAccount)
      throw new CaError('CA_TOKEN_CLAIMS', `The pod ${label} is not of the service account ${serviceAccount}`)
    if (node !== undefined && pod.nodeName !== node)
      throw new CaError('CA_TOKEN_CLAIMS', `The pod ${label} is on the node ${pod.nodeName ?? '(none)'}`)
    return label
  }

  /**
   * The API says in words, which change, why it refuses. What the token claims tells the usual reasons apart; it is
   * believed for no other purpose.
   */
  #refusal(token: string, reason: string, nowMs: number): CaError {
    try {
      const { audience, clockSkewMs } = this.#options
      refusingTokens(() =>
        checkClaims(parseToken(token).claims, { nowMs, clockSkewMs, audiences: [audience] }),
      )
    } catch (error) {
      if (!(error instanceof CaError)) throw error
      const said =
        error.code === 'CA_TOKEN_MALFORMED' ? 'The Kubernetes API refuses the token' : error.message
      return new CaError(error.code, `${said} (${reason})`, { cause: error })
    }
    // Said for a pod, or another object it is bound to, that was deleted or made anew.
    const gone = /has been invalidated|UID \(.*\) does not match/.test(reason)
    return new CaError(
      gone ? 'CA_POD_GONE' : 'CA_TOKEN_REFUSED',
      `The Kubernetes API refuses the token: ${reason}`,
    )
  }
}
