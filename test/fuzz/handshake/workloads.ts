/** Who speaks in fuzzed handshakes: their keys, and the lengths of their certificates, are always the same. */
import { equalBytes, utf8 } from '../../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import { encodePkcs8 } from '../../../src/crypto/pkcs8.ts'
import type { PrivateKey } from '../../../src/crypto/provider.ts'
import { TrustBundles, trustBundle } from '../../../src/identity/trust-bundle.ts'
import { CertificateError } from '../../../src/pki/errors.ts'
import { encodeEchConfigList, makeEchConfig, type EchKey } from '../../../src/tls/ech/config.ts'
import type { RawPublicKeyCredential, RawPublicKeyVerifier } from '../../../src/tls/options.ts'
import type { ExternalPsk } from '../../../src/tls/session/external-psk.ts'
import { mintIntermediate, mintRoot, mintSvid, TRUST_DOMAIN } from '../../support/certificates.ts'
import { CLIENT_ID, NOW_MS, SERVER_ID, type Workloads } from '../../support/tls-workloads.ts'
import { fuzzCrypto, signingOnce } from './fuzz-crypto.ts'

/** The workloads of all runs. */
export async function fuzzWorkloads(): Promise<Workloads> {
  const nowMs = NOW_MS
  const uris = [`spiffe://${TRUST_DOMAIN}`]
  const root = await mintRoot({ nowMs, uris, key: fixedKey(1) })
  const intermediate = await mintIntermediate(root, { nowMs, uris, key: fixedKey(2) })
  const bundle = trustBundle(TRUST_DOMAIN, [root.certificate])
  return {
    domain: { root, intermediate, bundle, bundles: new TrustBundles([bundle]) },
    client: await mintSvid(intermediate, CLIENT_ID, { nowMs, key: fixedKey(3) }),
    server: await mintSvid(intermediate, SERVER_ID, { nowMs, key: fixedKey(4) }),
  }
}

/** Ed25519, whose signatures are all of one length and leave nothing to chance. */
function fixedKey(fill: number): PrivateKey {
  const key = encodePkcs8('ed25519', new Uint8Array(32).fill(fill))
  return signingOnce(nativeCrypto().importPrivateKey(key))
}

function rawKey(fill: number): RawPublicKeyCredential {
  const key = fixedKey(fill)
  return { rawPublicKey: key.publicKey.spki, key }
}

/** Keys that stand for the same workloads. */
export const RAW_KEYS: { readonly client: RawPublicKeyCredential; readonly server: RawPublicKeyCredential } =
  { client: rawKey(5), server: rawKey(6) }

/** Knows the two keys and no other. */
export const knowsRawKeys: RawPublicKeyVerifier = {
  verify(rawPublicKey) {
    const role = (['client', 'server'] as const).find((known) =>
      equalBytes(RAW_KEYS[known].rawPublicKey, rawPublicKey),
    )
    if (role === undefined) throw new CertificateError('PKI_UNKNOWN_ISSUER', 'Nobody here knows the key')
    const name = role === 'client' ? CLIENT_ID : SERVER_ID
    return { name, expiresAtMs: NOW_MS + 3_600_000, path: [], rawPublicKey }
  },
}

/** A key that both sides were given. */
export const SHARED_KEY: ExternalPsk = {
  identity: utf8('shared'),
  context: utf8('both'),
  key: new Uint8Array(32).fill(9),
  hash: 'sha256',
}

/** A key that one side was given alone. */
export const LONE_KEY: ExternalPsk = {
  identity: utf8('alone'),
  key: new Uint8Array(48).fill(8),
  hash: 'sha384',
}

/** The key that servers read encrypted hellos with. */
export const ECH_KEY: EchKey = echKey(1)

/** One that clients know, and servers have no more. */
export const LOST_ECH_KEY: EchKey = echKey(2)

function echKey(configId: number): EchKey {
  const crypto = fuzzCrypto(nativeCrypto(), { hashes: true })
  return makeEchConfig(crypto, { publicName: 'edge.example', configId, maximumNameLength: 20 })
}

/** What a server with this key publishes. */
export function echConfigs(key: EchKey): Uint8Array {
  return encodeEchConfigList([key.config])
}
