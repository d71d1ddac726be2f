import { x25519 } from '@noble/curves/ed25519.js'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { ml_kem1024, ml_kem768 } from '@noble/post-quantum/ml-kem.js'

import { type Agreements, answerBy, beginBy, type DhGroup, type KemName, type MlKem } from './groups.ts'
import {
  checkShareLength,
  checkUncompressedPoint,
  type NistGroup,
  refusingShare,
  singleUse,
} from './key-share.ts'
import type { CompletedKeyAgreement, GroupName, PendingKeyAgreement } from './provider.ts'

const X25519_BYTES = 32

const NIST_CURVES = { secp256r1: p256, secp384r1: p384, secp521r1: p521 } as const

const ML_KEMS = { 'ml-kem-768': ml_kem768, 'ml-kem-1024': ml_kem1024 } as const

/** {@link CryptoProvider.beginKeyAgreement} on the noble libraries. */
export function begin(group: GroupName): PendingKeyAgreement {
  return beginBy(AGREEMENTS, group)
}

/** {@link CryptoProvider.answerKeyAgreement} on the noble libraries. */
export function answer(group: GroupName, peerShare: Uint8Array): CompletedKeyAgreement {
  return answerBy(AGREEMENTS, group, peerShare)
}

function beginDh(group: DhGroup): PendingKeyAgreement {
  return group === 'x25519' ? beginX25519() : beginEcdh(group)
}

function beginX25519(): PendingKeyAgreement {
  const { secretKey, publicKey } = x25519.keygen()
  return {
    group: 'x25519',
    share: publicKey,
    complete: singleUse((peerShare) => wiping(secretKey, () => x25519Secret(secretKey, peerShare))),
    forget: () => void secretKey.fill(0),
  }
}

function beginEcdh(group: NistGroup): PendingKeyAgreement {
  const curve = NIST_CURVES[group]
  const secretKey = curve.utils.randomSecretKey()
  return {
    group,
    share: curve.getPublicKey(secretKey, false),
    complete: singleUse((peerShare) => wiping(secretKey, () => ecdhSecret(group, secretKey, peerShare))),
    forget: () => void secretKey.fill(0),
  }
}

const ML_KEM: MlKem = {
  generate(kem) {
    const { publicKey, secretKey } = ML_KEMS[kem].keygen()
    return {
      encapsulationKey: publicKey,
      decapsulate: (ciphertext) => wiping(secretKey, () => mlkemSecret(kem, secretKey, ciphertext)),
      forget: () => void secretKey.fill(0),
    }
  },
  encapsulate(kem, encapsulationKey) {
    const { cipherText, sharedSecret } = refusingShare(kem, () => ML_KEMS[kem].encapsulate(encapsulationKey))
    return { ciphertext: cipherText, secret: sharedSecret }
  },
}

const AGREEMENTS: Agreements = { beginDh, kem: ML_KEM }

/** X25519 of RFC 7748 §6.1. @throws CryptoError CRYPTO_INVALID_KEY_SHARE */
export function x25519Secret(secretKey: Uint8Array, peerShare: Uint8Array): Uint8Array {
  checkShareLength('x25519', peerShare, X25519_BYTES)
  // The library refuses the shared secret of zeros that a point of small order leads to.
  return refusingShare('x25519', () => x25519.getSharedSecret(secretKey, peerShare))
}

/** The x coordinate of the shared point (RFC 8446 §7.4.2). @throws CryptoError CRYPTO_INVALID_KEY_SHARE */
export function ecdhSecret(group: NistGroup, secretKey: Uint8Array, peerShare: Uint8Array): Uint8Array {
  checkUncompressedPoint(group, peerShare)
  const compressed = refusingShare(group, () =>
    NIST_CURVES[group].getSharedSecret(secretKey, peerShare, true),
  )
  return compressed.slice(1)
}

/** ML-KEM decapsulation (FIPS 203 §7.3), with an expanded private key. @throws CryptoError CRYPTO_INVALID_KEY_SHARE */
export function mlkemSecret(kem: KemName, secretKey: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  return refusingShare(kem, () => ML_KEMS[kem].decapsulate(ciphertext, secretKey))
}

function wiping<T>(secret: Uint8Array, use: () => T): T {
  try {
    return use()
  } finally {
    secret.fill(0)
  }
}
