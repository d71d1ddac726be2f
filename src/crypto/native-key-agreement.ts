import {
  createECDH,
  createPublicKey,
  decapsulate,
  diffieHellman,
  type ECDH,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'

import { answerBy, beginHybrid, type MlKem768 } from './hybrid.ts'
import {
  checkShareLength,
  checkUncompressedPoint,
  type NistGroup,
  refusingShare,
  singleUse,
} from './key-share.ts'
import { plainBytes } from './plain-bytes.ts'
import type { CompletedKeyAgreement, GroupName, PendingKeyAgreement } from './provider.ts'

/** In order of preference. */
export const NATIVE_GROUPS: readonly GroupName[] = ['X25519MLKEM768', 'x25519', 'secp256r1', 'secp384r1']

const X25519_BYTES = 32

/** OpenSSL's names for the NIST curves. */
const ECDH_CURVES = { secp256r1: 'prime256v1', secp384r1: 'secp384r1' } as const

/** {@link CryptoProvider.beginKeyAgreement} on node:crypto. */
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

/** {@link CryptoProvider.answerKeyAgreement} on node:crypto. */
export function answer(group: GroupName, peerShare: Uint8Array): CompletedKeyAgreement {
  return answerBy({ begin, kem: MLKEM768 }, group, peerShare)
}

/** Raw keys in and out: of the ways to X25519 in node:crypto, the one without DER costs the least. */
function beginX25519(): PendingKeyAgreement {
  const { publicKey, privateKey } = generateKeyPairSync('x25519')
  return {
    group: 'x25519',
    share: plainBytes(publicKey.export({ format: 'raw-public' })),
    complete: singleUse((peerShare) => x25519Secret(privateKey, peerShare)),
  }
}

function beginEcdh(group: NistGroup): PendingKeyAgreement {
  const ecdh = createECDH(ECDH_CURVES[group])
  const share = plainBytes(ecdh.generateKeys())
  return { group, share, complete: singleUse((peerShare) => ecdhSecret(group, ecdh, peerShare)) }
}

const MLKEM768: MlKem768 = {
  generate() {
    const { publicKey, privateKey } = generateKeyPairSync('ml-kem-768')
    return {
      encapsulationKey: publicKey.export({ format: 'raw-public' }),
      decapsulate: (ciphertext) => mlkemSecret(privateKey, ciphertext),
    }
  },
  encapsulate(encapsulationKey) {
    const { ciphertext, sharedKey } = refusingShare('X25519MLKEM768', () =>
      encapsulate(rawPublicKey(encapsulationKey, 'ml-kem-768')),
    )
    return { ciphertext, secret: plainBytes(sharedKey) }
  },
}

/** X25519 of RFC 7748 §6.1. @throws CryptoError CRYPTO_INVALID_KEY_SHARE */
export function x25519Secret(privateKey: KeyObject, peerShare: Uint8Array): Uint8Array {
  checkShareLength('x25519', peerShare, X25519_BYTES)
  const publicKey = rawPublicKey(peerShare, 'x25519')
  // OpenSSL refuses the shared secret of zeros that a point of small order leads to.
  return plainBytes(refusingShare('x25519', () => diffieHellman({ privateKey, publicKey })))
}

/** The x coordinate of the shared point (RFC 8446 §7.4.2). @throws CryptoError CRYPTO_INVALID_KEY_SHARE */
export function ecdhSecret(group: NistGroup, ecdh: ECDH, peerShare: Uint8Array): Uint8Array {
  checkUncompressedPoint(group, peerShare)
  // OpenSSL checks that the point lies on the curve when it reads it.
  return plainBytes(refusingShare(group, () => ecdh.computeSecret(peerShare)))
}

/**
 * ML-KEM-768 decapsulation (FIPS 203 §7.3). A ciphertext of the right length that was not made for the key leads to a
 * secret that nobody knows, not to an error.
 */
export function mlkemSecret(privateKey: KeyObject, ciphertext: Uint8Array): Uint8Array {
  return plainBytes(refusingShare('X25519MLKEM768', () => decapsulate(privateKey, ciphertext)))
}

function rawPublicKey(bytes: Uint8Array, asymmetricKeyType: 'x25519' | 'ml-kem-768'): KeyObject {
  return createPublicKey({ key: bytes, format: 'raw-public', asymmetricKeyType })
}
