import type { EvpAgreements } from '../native/evp-agreement.ts'
import type { Agreements } from './groups.ts'
import { checkShareLength, invalidShare, singleUse } from './key-share.ts'
import { beginNist } from './native-key-agreement.ts'
import type { PendingKeyAgreement } from './provider.ts'

/** X25519 and ML-KEM on OpenSSL's EVP: node:crypto makes objects of every key, and finds each algorithm anew. */
export function evpAgreements(evp: EvpAgreements): Agreements {
  return {
    beginDh: (group) => (group === 'x25519' ? beginX25519(evp) : beginNist(group)),
    kem: {
      generate(kem) {
        const key = evp.generate(kem)
        return {
          encapsulationKey: key.publicKey,
          decapsulate(ciphertext) {
            using _key = key
            return accepted(kem, key.decapsulate(ciphertext))
          },
          forget: () => key[Symbol.dispose](),
        }
      },
      encapsulate: (kem, encapsulationKey) => accepted(kem, evp.encapsulate(kem, encapsulationKey)),
    },
  }
}

function beginX25519(evp: EvpAgreements): PendingKeyAgreement {
  const key = evp.generate('x25519')
  return {
    group: 'x25519',
    share: key.publicKey,
    complete: singleUse((peerShare) => {
      using _key = key
      checkShareLength('x25519', peerShare, key.publicKey.length)
      return accepted('x25519', key.derive(peerShare))
    }),
    forget: () => key[Symbol.dispose](),
  }
}

/** @throws CryptoError CRYPTO_INVALID_KEY_SHARE */
function accepted<Result>(what: string, result: Result | undefined): Result {
  if (result !== undefined) return result
  throw invalidShare(what)
}
