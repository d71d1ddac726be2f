import { x25519 } from '@noble/curves/ed25519.js'
import { p256, p384 } from '@noble/curves/nist.js'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'

import { answerBy, beginHybrid, type MlKem768 } from './hybrid.ts'
import {
  checkShareLength,
  checkUncompressedPoint,
  type NistGroup,
  refusingShare,
  singleUse,
} from './key-share.ts'
import type { CompletedKeyAgreement, GroupName, PendingKeyAgreement } from './provider.ts'

/** In order of preference. */
export const PORTABLE_GROUPS: readonly GroupName[] = ['X25519MLKEM768', 'x25519', 'secp256r1', 'secp384r1']

const X25519_BYTES = 32

const NIST_CURVES = { secp256r1: p256, secp384r1: p384 } as const

/** {@link CryptoProvider.beginKeyAgreement} on noble-curves. */
export function begin(group: GroupName): PendingKeyAgreement {
  switch (group) {
    case 'x25519':
      return beginX25519()
    case 'secp256r1':
    case 'secp384r1':
      return beginEcdh(group)
    case 'X25519MLKEM768':
      return beginHybrid(MLKEM768, beginX25519())
  }
}

/** {@link CryptoProvider.answerKeyAgreement} on noble-curves. */
export function answer(group: GroupName, peerShare: Uint8Array): CompletedKeyAgreement {
  return answerBy({ begin, kem: MLKEM768 }, group, peerShare)
}

function beginX25519(): PendingKeyAgreement {
  const { secretKey, publicKey } = x25519.keygen()
  return {
    group: 'x25519',
    share: publicKey,
    complete: singleUse((peerShare) => wiping(secretKey, () => x25519Secret(secretKey, peerShare))),
  }
}

function beginEcdh(group: NistGroup): PendingKeyAgreement {
  const curve = NIST_CURVES[group]
  const secretKey = curve.utils.randomSecretKey()
  return {
    group,
    share: curve.getPublicKey(secretKey, false),
    complete: singleUse((peerShare) => wiping(secretKey, () => ecdhSecret(group, secretKey, peerShare))),
  }
}

const MLKEM768: MlKem768 = {
  generate() {
    const { publicKey, secretKey } = ml_kem768.keygen()
    return {
      encapsulationKey: publicKey,
      decapsulate: (ciphertext) => wiping(secretKey, () => mlkemSecret(secretKey, ciphertext)),
    }
  },
  encapsulate(encapsulationKey) {
    const { cipherText, sharedSecret } = refusingShare('X25519MLKEM768', () =>
      ml_kem768.encapsulate(encapsulationKey),
    )
    return { ciphertext: cipherText, secret: sharedSecret }
  },
}

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

/** ML-KEM-768 decapsulation (FIPS 203 §7.3), with an expanded private key. @throws CryptoError CRYPTO_INVALID_KEY_SHARE */
export function mlkemSecret(secretKey: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  return refusingShare('X25519MLKEM768', () => ml_kem768.decapsulate(ciphertext, secretKey))
}

function wiping<T>(secret: Uint8Array, use: () => T): T {
  try {
    return use()
  } finally {
    secret.fill(0)
  }
}
