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

import { type Agreements, answerBy, beginBy, type DhGroup, type KemName, type MlKem } from './groups.ts'
import {
  checkShareLength,
  checkUncompressedPoint,
  type NistGroup,
  refusingShare,
  singleUse,
} from './key-share.ts'
import { plainBytes } from './plain-bytes.ts'
import type { CompletedKeyAgreement, GroupName, PendingKeyAgreement } from './provider.ts'

const X25519_BYTES = 32

/** OpenSSL's names for the NIST curves. */
const ECDH_CURVES: Readonly<Record<NistGroup, string>> = {
  secp256r1: 'prime256v1',
  secp384r1: 'secp384r1',
  secp521r1: 'secp521r1',
}

/** {@link CryptoProvider.beginKeyAgreement} on node:crypto. */
export function begin(group: GroupName): PendingKeyAgreement {
  return beginBy(AGREEMENTS, group)
}

/** {@link CryptoProvider.answerKeyAgreement} on node:crypto. */
export function answer(group: GroupName, peerShare: Uint8Array): CompletedKeyAgreement {
  return answerBy(AGREEMENTS, group, peerShare)
}

function beginDh(group: DhGroup): PendingKeyAgreement {
  return group === 'x25519' ? beginX25519() : beginNist(group)
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

/** On a curve of NIST's. */
export function beginNist(group: NistGroup): PendingKeyAgreement {
  const ecdh = createECDH(ECDH_CURVES[group])
  const share = plainBytes(ecdh.generateKeys())
  return { group, share, complete: singleUse((peerShare) => ecdhSecret(group, ecdh, peerShare)) }
}

const ML_KEM: MlKem = {
  generate(kem) {
    const { publicKey, privateKey } = generateMlKem(kem)
    return {
      encapsulationKey: plainBytes(publicKey.export({ format: 'raw-public' })),
      decapsulate: (ciphertext) => mlkemSecret(kem, privateKey, ciphertext),
    }
  },
  encapsulate(kem, encapsulationKey) {
    const { ciphertext, sharedKey } = refusingShare(kem, () =>
      encapsulate(rawPublicKey(encapsulationKey, kem)),
    )
    return { ciphertext: plainBytes(ciphertext), secret: plainBytes(sharedKey) }
  },
}

const AGREEMENTS: Agreements = { beginDh, kem: ML_KEM }

/** The overloads of node:crypto take no union. */
function generateMlKem(kem: KemName): { publicKey: KeyObject; privateKey: KeyObject } {
  return kem === 'ml-kem-768' ? generateKeyPairSync('ml-kem-768') : generateKeyPairSync('ml-kem-1024')
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
 * ML-KEM decapsulation (FIPS 203 §7.3). A ciphertext of the right length that was not made for the key leads to a
 * secret that nobody knows, not to an error.
 *
 * @throws CryptoError CRYPTO_INVALID_KEY_SHARE
 */
export function mlkemSecret(kem: KemName, privateKey: KeyObject, ciphertext: Uint8Array): Uint8Array {
  return plainBytes(refusingShare(kem, () => decapsulate(privateKey, ciphertext)))
}

function rawPublicKey(bytes: Uint8Array, asymmetricKeyType: 'x25519' | KemName): KeyObject {
  return createPublicKey({ key: bytes, format: 'raw-public', asymmetricKeyType })
}
