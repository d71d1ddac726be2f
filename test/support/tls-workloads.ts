/** Two workloads of one trust domain, minted once for each test file. */
import { generateKeyPairSync } from 'node:crypto'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { CryptoProvider, KeyKind, PrivateKey } from '../../src/crypto/provider.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import type { CertificateMemory } from '../../src/pki/certificate-memory.ts'
import type { CertificateVerifier } from '../../src/pki/verifier.ts'
import { mintSvid, mintTrustDomain, type Minted, type MintedTrustDomain } from './certificates.ts'

/** The clock of every in-memory pair. */
export const NOW_MS: number = Date.UTC(2026, 5, 1)

export const CLIENT_ID = 'spiffe://shop.example/ns/default/sa/web'
export const SERVER_ID = 'spiffe://shop.example/ns/default/sa/orders'

export interface Workloads {
  readonly domain: MintedTrustDomain
  readonly client: Minted
  readonly server: Minted
}

/** Two workloads whose keys are of one kind, good for an hour from `nowMs`. */
export async function mintWorkloads(kind: KeyKind = 'ec-p256', nowMs: number = NOW_MS): Promise<Workloads> {
  const domain = await mintTrustDomain(undefined, { nowMs })
  const [client, server] = await Promise.all(
    [CLIENT_ID, SERVER_ID].map((id) => mintSvid(domain.intermediate, id, { nowMs, key: newKey(kind) })),
  )
  return { domain, client: client!, server: server! }
}

/** Accepts whoever the trust domain of the workloads vouches for. */
export function verifierFor(
  { domain }: Pick<Workloads, 'domain'>,
  crypto: CryptoProvider = nativeCrypto(),
  certificates?: CertificateMemory,
): CertificateVerifier {
  return svidVerifier({ bundles: () => domain.bundles, crypto, certificates })
}

/** A key of any kind; the providers make none of RSA. */
export function newKey(kind: KeyKind): PrivateKey {
  if (kind !== 'rsa') return nativeCrypto().generateKey(kind)
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return nativeCrypto().importPrivateKey(privateKey.export({ format: 'der', type: 'pkcs8' }))
}
