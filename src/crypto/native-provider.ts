import { createHash, createHmac, hash, type Hash } from 'node:crypto'

import { loadEvp, type Evp, type EvpProbe } from '../native/evp.ts'
import { evpAgreements } from './evp-key-agreement.ts'
import { answerBy, beginBy, GROUPS } from './groups.ts'
import { NodeOpener, NodeSealer } from './native-aead.ts'
import { answer, begin } from './native-key-agreement.ts'
import { importNativeAgreementKey } from './native-static-keys.ts'
import { generateNativeKey, importNativePrivateKey, importNativePublicKey } from './native-keys.ts'
import type { CryptoProvider, HashContext } from './provider.ts'
import { plainBytes } from './plain-bytes.ts'
import { pooledRandom } from './pooled-random.ts'

/** How {@link nativeCrypto} comes about. */
export interface NativeCryptoOptions {
  /**
   * Told why records are protected and hashed by node:crypto, several times slower, instead of OpenSSL's EVP. Of all the
   * calls in a process, one is told, once.
   */
  readonly onFallback?: (reason: string) => void
  /** @default loadEvp */
  readonly probe?: () => EvpProbe
}

/**
 * The provider on Node's own OpenSSL: EVP directly for records, hashes, HMAC and most agreements where its symbols can be
 * reached, node:crypto for all else. There is one per process.
 */
export function nativeCrypto({ onFallback }: Pick<NativeCryptoOptions, 'onFallback'> = {}): CryptoProvider {
  shared ??= createNativeCrypto({ onFallback: (reason) => (untold = reason) })
  if (untold !== undefined && onFallback !== undefined) {
    const reason = untold
    untold = undefined
    onFallback(reason)
  }
  return shared
}

let shared: CryptoProvider | undefined
let untold: string | undefined

/** A provider of one's own, for looking at the fallback. {@link nativeCrypto} is the one to use. */
export function createNativeCrypto({
  onFallback,
  probe = loadEvp,
}: NativeCryptoOptions = {}): CryptoProvider {
  const found = probe()
  if (found.kind === 'missing') onFallback?.(found.reason)
  return {
    name: 'native',
    random: pooledRandom(),
    ...(found.kind === 'missing' ? NODE_PRIMITIVES : evpPrimitives(found.evp)),
    groups: GROUPS,
    importKeyAgreementKey: importNativeAgreementKey,
    importPublicKey: importNativePublicKey,
    importPrivateKey: importNativePrivateKey,
    generateKey: generateNativeKey,
  }
}

/** What costs several times less without node:crypto in between: a handshake makes some fifty calls of `hmac`. */
type Primitives = Pick<
  CryptoProvider,
  'hash' | 'digest' | 'hmac' | 'sealer' | 'opener' | 'beginKeyAgreement' | 'answerKeyAgreement'
>

function evpPrimitives(evp: Evp): Primitives {
  const { hashes } = evp
  const agreements = evpAgreements(evp.agreements)
  return {
    hash: (name) => hashes.begin(name),
    digest: (name, bytes) => hashes.digest(name, bytes),
    hmac: (name, key, message) => hashes.hmac(name, key, message),
    sealer: (aead, key) => evp.sealer(aead, key),
    opener: (aead, key) => evp.opener(aead, key),
    beginKeyAgreement: (group) => beginBy(agreements, group),
    answerKeyAgreement: (group, peerShare) => answerBy(agreements, group, peerShare),
  }
}

const NODE_PRIMITIVES: Primitives = {
  hash: (name) => new NodeHash(createHash(name)),
  digest: (name, bytes) => plainBytes(hash(name, bytes, 'buffer')),
  hmac: (name, key, message) => plainBytes(createHmac(name, key).update(message).digest()),
  sealer: (aead, key) => new NodeSealer(aead, key),
  opener: (aead, key) => new NodeOpener(aead, key),
  beginKeyAgreement: begin,
  answerKeyAgreement: answer,
}

class NodeHash implements HashContext {
  readonly #hash: Hash

  constructor(hash: Hash) {
    this.#hash = hash
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  digest(): Uint8Array {
    return plainBytes(this.#hash.copy().digest())
  }

  clone(): HashContext {
    return new NodeHash(this.#hash.copy())
  }

  [Symbol.dispose](): void {
    // It is the garbage collector's.
  }
}
