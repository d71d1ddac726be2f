import { hmac } from '@noble/hashes/hmac.js'
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js'

import { GROUPS } from './groups.ts'
import { PortableOpener, PortableSealer } from './portable-aead.ts'
import { answer, begin } from './portable-key-agreement.ts'
import { importPortableAgreementKey } from './portable-static-keys.ts'
import { generatePortableKey, importPortablePrivateKey, importPortablePublicKey } from './portable-keys.ts'
import type { CryptoProvider, HashContext, HashName } from './provider.ts'

/** What the platform's random source gives at once (Web Cryptography, getRandomValues). */
const MAX_RANDOM_BYTES = 65_536

const HASHES = { sha256, sha384, sha512 } as const

/**
 * The provider on the noble libraries and on TypeScript: for wherever there is no OpenSSL, and the second opinion on
 * the native one. It lacks RSA signing: noble has no RSA, and a private RSA operation in BigInt would show its key in its
 * timing. For the same reason it protects a server's keys less well than the native one.
 */
export function portableCrypto(): CryptoProvider {
  return PORTABLE
}

const PORTABLE: CryptoProvider = {
  name: 'portable',
  random,
  hash: (name) => new PortableHash(HASHES[name].create()),
  digest: (name, bytes) => HASHES[name](bytes),
  hmac: (name, key, message) => hmac(HASHES[name], key, message),
  sealer: (aead, key) => new PortableSealer(aead, key),
  opener: (aead, key) => new PortableOpener(aead, key),
  groups: GROUPS,
  beginKeyAgreement: begin,
  answerKeyAgreement: answer,
  importKeyAgreementKey: importPortableAgreementKey,
  importPublicKey: importPortablePublicKey,
  importPrivateKey: importPortablePrivateKey,
  generateKey: generatePortableKey,
}

function random(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let offset = 0; offset < length; offset += MAX_RANDOM_BYTES)
    crypto.getRandomValues(bytes.subarray(offset, offset + MAX_RANDOM_BYTES))
  return bytes
}

type NobleHash = ReturnType<(typeof HASHES)[HashName]['create']>

class PortableHash implements HashContext {
  readonly #hash: NobleHash

  constructor(hash: NobleHash) {
    this.#hash = hash
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  digest(): Uint8Array {
    return this.#hash.clone().digest()
  }

  clone(): HashContext {
    return new PortableHash(this.#hash.clone())
  }

  [Symbol.dispose](): void {
    this.#hash.destroy()
  }
}
