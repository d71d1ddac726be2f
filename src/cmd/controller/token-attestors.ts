import { readFile } from 'node:fs/promises'
import type { Attestors } from '../../ca/attestation.ts'
import { httpsRequest } from '../../ca/https-request.ts'
import { IstioAttestor, type IstioAttestorOptions } from '../../ca/istio-attestor.ts'
import { KeySet } from '../../ca/key-set.ts'
import { KubernetesApi } from '../../ca/kubernetes-api.ts'
import { KubernetesAttestor } from '../../ca/kubernetes-attestor.ts'
import { OidcAttestor, type TrustedIssuer } from '../../ca/oidc-attestor.ts'
import type { KeySetSource, OidcConfig } from '../../config/attestation-config.ts'
import type { ControllerConfig } from '../../config/controller-config.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'

/** A file is read again after this, since reading costs nothing. */
const FILE_REFRESH_MS = 10_000

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
  if (source.kind === 'file')
    return new KeySet({
      crypto,
      source: source.path,
      load: () => readFile(source.path, 'utf8'),
      refreshMs: FILE_REFRESH_MS,
    })
  return new KeySet({ crypto, source: source.url, load: () => fetchKeySet(source) })
}

async function fetchKeySet({ url, caFile }: Extract<KeySetSource, { kind: 'url' }>): Promise<string> {
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8')
  const { status, text } = await httpsRequest(url, {
    headers: { accept: 'application/json' },
    ...(ca !== undefined && { ca }),
  })
  if (status !== 200) throw new Error(`${url} answered with status ${status}`)
  return text
}
