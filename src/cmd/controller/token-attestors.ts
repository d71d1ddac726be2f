import type { Attestors } from '../../ca/attestation.ts'
import { IstioAttestor, type IstioAttestorOptions } from '../../ca/istio-attestor.ts'
import { KeySet } from '../../ca/key-set.ts'
import { KubernetesApi } from '../../ca/kubernetes-api.ts'
import { KubernetesAttestor } from '../../ca/kubernetes-attestor.ts'
import { OidcAttestor, type TrustedIssuer } from '../../ca/oidc-attestor.ts'
import type { OidcConfig } from '../../config/attestation-config.ts'
import type { ControllerConfig } from '../../config/controller-config.ts'
import type { KeySetSource } from '../../config/token-fields.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { FILE_REFRESH_MS, loadKeySet } from './load-key-set.ts'

/** The attestors for the kinds of tokens that the configuration speaks of. */
export function tokenAttestors(
  { attestation, istioCa }: Pick<ControllerConfig, 'attestation' | 'istioCa'>,
  { crypto, trustDomain }: { readonly crypto: CryptoProvider; readonly trustDomain: string },
): Pick<Attestors, 'oidc' | 'kubernetes' | 'istio'> {
  const { oidc, kubernetes, clockSkewMs } = attestation
  const keySets = oidc.map(({ keys }) => keySet(keys, crypto))
  const reviewer = kubernetes && new KubernetesApi({ ...kubernetes, server: kubernetes.apiServer })
  /** @param audience in the place of the configured ones */
  const attestors = (audience?: string): IstioAttestorOptions => ({
    ...(oidc.length > 0 && {
      oidc: new OidcAttestor({
        issuers: oidc.map((issuer, place) =>
          trustedIssuer(issuer, keySets[place]!, audience ?? issuer.audience),
        ),
        clockSkewMs,
      }),
    }),
    ...(kubernetes !== undefined &&
      reviewer !== undefined && {
        kubernetes: new KubernetesAttestor({
          ...kubernetes,
          audience: audience ?? kubernetes.audience,
          reviewer,
          trustDomain,
          clockSkewMs,
        }),
      }),
  })
  return {
    ...attestors(),
    ...(istioCa !== undefined && { istio: new IstioAttestor(attestors(istioCa.audience)) }),
  }
}

function trustedIssuer(
  { issuer, algorithms, spiffeId, claims }: OidcConfig,
  keys: KeySet,
  audience: string,
): TrustedIssuer {
  return { issuer, audience, algorithms, keys, spiffeId, claims }
}

function keySet(source: KeySetSource, crypto: CryptoProvider): KeySet {
  return new KeySet({
    crypto,
    source: source.kind === 'file' ? source.path : source.url,
    load: () => loadKeySet(source),
    ...(source.kind === 'file' && { refreshMs: FILE_REFRESH_MS }),
  })
}
