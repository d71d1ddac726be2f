import { toHex } from '../../src/bytes/bytes.ts'
import type { AeadSealer, CryptoProvider } from '../../src/crypto/provider.ts'
import { delegatingCrypto } from './delegating-crypto.ts'

/** `base`, except that it notes the nonces that records are sealed under, in hexadecimal. */
export function recordingNonces(base: CryptoProvider): CryptoProvider & { readonly nonces: string[] } {
  const nonces: string[] = []
  const sealer: CryptoProvider['sealer'] = (aead, key) => {
    const sealing: AeadSealer = base.sealer(aead, key)
    return {
      seal(nonce, additionalData, plaintext, output, trailer) {
        nonces.push(toHex(nonce))
        return sealing.seal(nonce, additionalData, plaintext, output, trailer)
      },
      [Symbol.dispose]: () => sealing[Symbol.dispose](),
    }
  }
  return { ...delegatingCrypto(base), sealer, nonces }
}
