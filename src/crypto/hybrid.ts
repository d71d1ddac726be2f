/** X25519MLKEM768: ML-KEM-768 and X25519 side by side, so that a secret falls only with both (draft-ietf-tls-ecdhe-mlkem). */
import { concat } from '../bytes/bytes.ts'
import { checkShareLength, singleUse } from './key-share.ts'
import type { CompletedKeyAgreement, GroupName, PendingKeyAgreement } from './provider.ts'

/** The encapsulation key and the ciphertext of ML-KEM-768 (FIPS 203 §8). */
const KEM_KEY_BYTES = 1184
const KEM_CIPHERTEXT_BYTES = 1088

const X25519_BYTES = 32

/** ML-KEM-768 of one provider. */
export interface MlKem768 {
  generate(): {
    readonly encapsulationKey: Uint8Array
    /** @throws CryptoError CRYPTO_INVALID_KEY_SHARE */
    readonly decapsulate: (ciphertext: Uint8Array) => Uint8Array
  }
  /** @throws CryptoError CRYPTO_INVALID_KEY_SHARE */
  encapsulate(encapsulationKey: Uint8Array): { readonly ciphertext: Uint8Array; readonly secret: Uint8Array }
}

/** The initiator's half. ML-KEM comes first, in the shares as in the secret (§4.1, §4.3). */
export function beginHybrid(kem: MlKem768, ecdh: PendingKeyAgreement): PendingKeyAgreement {
  const { encapsulationKey, decapsulate } = kem.generate()
  return {
    group: 'X25519MLKEM768',
    share: concat(encapsulationKey, ecdh.share),
    complete: singleUse((peerShare) => {
      checkShareLength('X25519MLKEM768', peerShare, KEM_CIPHERTEXT_BYTES + X25519_BYTES)
      const secret = decapsulate(peerShare.subarray(0, KEM_CIPHERTEXT_BYTES))
      return join(secret, ecdh.complete(peerShare.subarray(KEM_CIPHERTEXT_BYTES)))
    }),
  }
}

/** The responder's whole, in any group of a provider that begins with `begin`. */
export function answerBy(
  { begin, kem }: { readonly begin: (group: GroupName) => PendingKeyAgreement; readonly kem: MlKem768 },
  group: GroupName,
  peerShare: Uint8Array,
): CompletedKeyAgreement {
  if (group === 'X25519MLKEM768') return answerHybrid(kem, begin('x25519'), peerShare)
  // In Diffie-Hellman both sides do the same.
  const ours = begin(group)
  return { share: ours.share, secret: ours.complete(peerShare) }
}

function answerHybrid(
  kem: MlKem768,
  ecdh: PendingKeyAgreement,
  peerShare: Uint8Array,
): CompletedKeyAgreement {
  checkShareLength('X25519MLKEM768', peerShare, KEM_KEY_BYTES + X25519_BYTES)
  const ecdhSecret = ecdh.complete(peerShare.subarray(KEM_KEY_BYTES))
  const { ciphertext, secret } = kem.encapsulate(peerShare.subarray(0, KEM_KEY_BYTES))
  return { share: concat(ciphertext, ecdh.share), secret: join(secret, ecdhSecret) }
}

/** Both halves of a hybrid secret in one buffer; the halves are wiped. */
function join(kemSecret: Uint8Array, ecdhSecret: Uint8Array): Uint8Array {
  const secret = concat(kemSecret, ecdhSecret)
  kemSecret.fill(0)
  ecdhSecret.fill(0)
  return secret
}
