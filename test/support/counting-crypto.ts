import type { CryptoProvider } from '../../src/crypto/provider.ts'
import { delegatingCrypto } from './delegating-crypto.ts'

/** A provider that knows how many of its AEAD keys have not been freed. */
export interface CountingCrypto extends CryptoProvider {
  readonly live: number
}

/** `base`, except that its AEAD keys are counted. */
export function countingAeads(base: CryptoProvider): CountingCrypto {
  let live = 0
  const counted = <Key extends Disposable>(key: Key): Key => {
    live++
    const free = key[Symbol.dispose].bind(key)
    let freed = false
    key[Symbol.dispose] = () => {
      if (!freed) live--
      freed = true
      free()
    }
    return key
  }
  return {
    ...delegatingCrypto(base),
    get live() {
      return live
    },
    sealer: (aead, key) => counted(base.sealer(aead, key)),
    opener: (aead, key) => counted(base.opener(aead, key)),
  }
}
