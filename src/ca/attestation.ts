import type { SpiffeId } from '../identity/spiffe-id.ts'

/** What a caller brings to prove who it is. */
export type Evidence =
  | { readonly kind: 'join-token'; readonly token: string }
  /** The connection's own client certificate, verified in its handshake. */
  | {
      readonly kind: 'peer-svid'
      readonly id: SpiffeId
      /** Hexadecimal. */
      readonly serialNumber: string
      readonly expiresAtMs: number
      /** Why that certificate is revoked, in words. @default it is not */
      readonly revoked?: string | undefined
      /** Whether a certificate beside this one is asked for, not one in its place. @default false */
      readonly forWorkload?: boolean
    }
  /** A token of an OpenID Connect issuer, such as that of a build system. */
  | { readonly kind: 'oidc'; readonly token: string }
  /** A token of a Kubernetes service account. */
  | { readonly kind: 'kubernetes'; readonly token: string }
  /** A token of either kind, for Istio's API. */
  | { readonly kind: 'istio'; readonly token: string }

/** A caller whose identity has been proven. */
export interface AttestedCaller {
  readonly id: SpiffeId
  /** What proved it, for the journal; never a secret. */
  readonly proof: string
  /** The serial number of the certificate that proved it, which a new one takes the place of; hexadecimal. */
  readonly renews?: string
  /** Or that a new one is held beside, by the workload of whoever proved itself with it; hexadecimal. */
  readonly beside?: string
}

/** Turns evidence into a proven identity. */
export interface Attestor<Kind extends Evidence['kind'] = Evidence['kind']> {
  /** @throws CaError when the evidence does not prove an identity */
  attest(
    evidence: Extract<Evidence, { kind: Kind }>,
    context: { readonly nowMs: number },
  ): Promise<AttestedCaller>
}

/** At most one attestor for each kind of evidence; without one, that kind proves nothing. */
export type Attestors = { readonly [Kind in Evidence['kind']]?: Attestor<Kind> }
