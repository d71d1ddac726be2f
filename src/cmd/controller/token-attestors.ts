import { readFile } from 'node:fs/promises'
import type { Attestors } from '../../ca/attestation.ts'
import { httpsRequest } from '../../ca/https-request.ts'
import { KeySet } from '../../ca/key-set.ts'
import { KubernetesApi } from '../../ca/kubernetes-api.ts'
import { KubernetesAttestor } from '../../ca/kubernetes-attestor.ts'
import { OidcAttestor } from '../../ca/oidc-attestor.ts'
import type { AttestationConfig, KeySetSource } from '../../config/attestation-config.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'

/** A file is read again after this, since reading costs nothing. */
const FILE_REFRESH_MS = 10_000

/** The attestors for the kinds of tokens that the configuration speaks of. */
export function tokenAttestors(
  { oidc, kubernetes, clockSkewMs }: AttestationConfig,
  { crypto, trustDomain }: { readonly crypto: CryptoProvider; readonly trustDomain: string },
): Pick<Attestors, 'oidc' | 'kubernetes'> {
  const issuers = oidc.map(({ keys, ...rest }) => ({ ...rest, keys: keySet(keys, crypto) }))
  return {
    ...(issuers.length > 0 && { oidc: new OidcAttestor({ issuers, clockSkewMs }) }),
    ...(kubernetes !== undefined && {
      kubernetes: new KubernetesAttestor({
        ...kubernetes,
        reviewer: new KubernetesApi({ ...kubernetes, server: kubernetes.apiServer }),
        trustDomain,
        clockSkewMs,
      }),
    }),
  }
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
