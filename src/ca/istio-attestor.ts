import { parseToken } from '../identity/token.ts'
import type { AttestedCaller, Attestor, Evidence } from './attestation.ts'
import type { KubernetesAttestor } from './kubernetes-attestor.ts'
import type { OidcAttestor } from './oidc-attestor.ts'
import { refusingTokens } from './refusing-tokens.ts'

export interface IstioAttestorOptions {
  /** Both for the audience that Istio's agents ask tokens for, so that no token is good for this and for anything else. */
  readonly oidc?: OidcAttestor
  readonly kubernetes?: KubernetesAttestor
}

/** Proves a caller of Istio's API, which does not say what kind of token it brings: the issuer that the token names does. */
export class IstioAttestor implements Attestor<'istio'> {
  readonly #options: IstioAttestorOptions

  constructor(options: IstioAttestorOptions) {
    this.#options = options
  }

  /** @throws CaError CA_TOKEN_…, CA_POD_GONE, CA_ATTESTATION_UNAVAILABLE */
  async attest(
    { token }: Extract<Evidence, { kind: 'istio' }>,
    context: { readonly nowMs: number },
  ): Promise<AttestedCaller> {
    const { oidc, kubernetes } = this.#options
    const { iss } = refusingTokens(() => parseToken(token)).claims
    // Service-account tokens have whatever issuer their cluster was set up with.
    const { id, proof } =
      kubernetes === undefined || oidc?.trusts(iss) === true
        ? await oidc!.attest({ kind: 'oidc', token }, context)
        : await kubernetes.attest({ kind: 'kubernetes', token }, context)
    return { id, proof: `istio ${proof}` }
  }
}
