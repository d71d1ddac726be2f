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

import { concat } from '../bytes/bytes.ts'
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

/** The encapsulation key and the ciphertext of ML-KEM-768 (FIPS 203 §8). */
const MLKEM768_KEY_BYTES = 1184
const MLKEM768_CIPHERTEXT_BYTES = 1088

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
      return beginHybrid()
  }
}

/** {@link CryptoProvider.answerKeyAgreement} on node:crypto. */
export function answer(group: GroupName, peerShare: Uint8Array): CompletedKeyAgreement {
  if (group === 'X25519MLKEM768') return answerHybrid(peerShare)
  // In Diffie-Hellman both sides do the same.
  const ours = begin(group)
  return { share: ours.share, secret: ours.complete(peerShare) }
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

/** ML-KEM comes first, in the shares as in the secret (draft-ietf-tls-ecdhe-mlkem §4.1, §4.3). */
function beginHybrid(): PendingKeyAgreement {
  const kem = generateKeyPairSync('ml-kem-768')
  const ecdh = beginX25519()
  return {
    group: 'X25519MLKEM768',
    share: concat(kem.publicKey.export({ format: 'raw-public' }), ecdh.share),
    complete: singleUse((peerShare) => {
      checkShareLength('X25519MLKEM768', peerShare, MLKEM768_CIPHERTEXT_BYTES + X25519_BYTES)
      const ciphertext = peerShare.subarray(0, MLKEM768_CIPHERTEXT_BYTES)
      return join(
        mlkemSecret(kem.privateKey, ciphertext),
        ecdh.complete(peerShare.subarray(MLKEM768_CIPHERTEXT_BYTES)),
      )
    }),
  }
}

function answerHybrid(peerShare: Uint8Array): CompletedKeyAgreement {
  checkShareLength('X25519MLKEM768', peerShare, MLKEM768_KEY_BYTES + X25519_BYTES)
  const ecdh = answer('x25519', peerShare.subarray(MLKEM768_KEY_BYTES))
  const kem = refusingShare('X25519MLKEM768', () =>
    encapsulate(rawPublicKey(peerShare.subarray(0, MLKEM768_KEY_BYTES), 'ml-kem-768')),
  )
  return { share: concat(kem.ciphertext, ecdh.share), secret: join(plainBytes(kem.sharedKey), ecdh.secret) }
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

/** Both halves of a hybrid secret in one buffer; the halves are wiped. */
function join(kemSecret: Uint8Array, ecdhSecret: Uint8Array): Uint8Array {
  const secret = concat(kemSecret, ecdhSecret)
  kemSecret.fill(0)
  ecdhSecret.fill(0)
  return secret
}
