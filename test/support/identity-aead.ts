import type { AeadOpener, AeadSealer, CryptoProvider } from '../../src/crypto/provider.ts'
import { AEAD_TAG_BYTES } from '../../src/crypto/provider.ts'
import { delegatingCrypto } from './delegating-crypto.ts'

/** What stands in the place of every tag. */
const TAG_BYTE = 0x7a

/**
 * `base` without encryption: ciphertext is plaintext with a constant tag that nobody checks. What changes records on
 * their way reaches whatever handles their contents.
 */
export function identityAeads(base: CryptoProvider): CryptoProvider {
  return { ...delegatingCrypto(base), sealer: () => identitySealer(TAG_BYTE), opener: identityOpener }
}

/** @param tagByte fills the place of the tag */
export function identitySealer(tagByte: number): AeadSealer {
  return {
    seal(_nonce, _additionalData, plaintext, output, trailer = new Uint8Array(0)) {
      const length = plaintext.length + trailer.length
      output.set(plaintext)
      output.set(trailer, plaintext.length)
      output.fill(tagByte, length, length + AEAD_TAG_BYTES)
      return length + AEAD_TAG_BYTES
    },
    [Symbol.dispose]: () => undefined,
  }
}

/** Checks no tag. */
export function identityOpener(): AeadOpener {
  return {
    open(_nonce, _additionalData, ciphertext, output) {
      const length = ciphertext.length - AEAD_TAG_BYTES
      output.set(ciphertext.subarray(0, length))
      return length
    },
    [Symbol.dispose]: () => undefined,
  }
}
