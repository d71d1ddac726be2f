/** What the Kubernetes API says about a token (authentication.k8s.io/v1, TokenReview). */
export type TokenReview =
  | {
      readonly kind: 'authenticated'
      readonly username: string
      /** Those of the ones asked for that the token is for; empty when the API does not know audiences. */
      readonly audiences: readonly string[]
      readonly extra: Readonly<Record<string, readonly string[]>>
    }
  | { readonly kind: 'refused'; readonly reason: string }

/** A pod, as far as it matters here. */
export interface ReviewedPod {
  readonly uid: string
  readonly serviceAccount: string
  /** Undefined before it is scheduled. */
  readonly nodeName: string | undefined
  /** Whether it has come to its end: Succeeded or Failed. */
  readonly ended: boolean
}

/** The part of the Kubernetes API that attestation needs. */
export interface TokenReviewer {
  /** @throws CaError CA_ATTESTATION_UNAVAILABLE */
  review(token: string, audience: string): Promise<TokenReview>
  /** Undefined when there is none. @throws CaError CA_ATTESTATION_UNAVAILABLE */
  findPod(namespace: string, name: string): Promise<ReviewedPod | undefined>
}
