import { ed25519 } from '@noble/curves/ed25519.js'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js'

import { equalBytes } from '../bytes/bytes.ts'
import { CryptoError } from './errors.ts'
import {
  bitsOf,
  decodeSpki,
  type EcKind,
  encodeRsaSpki,
  encodeSpki,
  type PublicKeyParts,
  type RsaPublicKeyParts,
} from './key-encoding.ts'
import { isMlDsa, type MlDsaSecret } from './ml-dsa-key.ts'
import { decodePkcs8, encodeMlDsaPkcs8, encodePkcs8 } from './pkcs8.ts'
import { expandMlDsa, newMlDsaSeed, signMlDsa, verifyMlDsa } from './portable-ml-dsa.ts'
import { verifyRsaPkcs1, verifyRsaPss } from './portable-rsa.ts'
import type { HashName, KeyKind, MlDsaKind, PrivateKey, PublicKey, SignatureParameters } from './provider.ts'
import { canSign, refuseUnsuited } from './signature-rules.ts'

const CURVES = { 'ec-p256': p256, 'ec-p384': p384, 'ec-p521': p521 } as const

const HASHES = { sha256, sha384, sha512 } as const

const ED25519_SIGNATURE_BYTES = 64

/** {@link CryptoProvider.importPublicKey} on the noble libraries. */
export function importPortablePublicKey(spki: Uint8Array): PublicKey {
  const own = Uint8Array.from(spki)
  const parts = decodeSpki(own)
  checkOnCurve(parts)
  return new PortablePublicKey(parts, own)
}

/** {@link CryptoProvider.importPrivateKey} on the noble libraries. RSA keys are read, but do not sign. */
export function importPortablePrivateKey(pkcs8: Uint8Array): PrivateKey {
  const parts = decodePkcs8(pkcs8)
  if (parts.kind === 'rsa') return new PortableRsaPrivateKey(parts, Uint8Array.from(pkcs8))
  if ('secret' in parts) {
    const key = new PortableMlDsaPrivateKey(parts.kind, parts.secret)
    checkOwnPublicKey(parts.publicKey, key.publicBytes)
    return key
  }
  const secret = parts.kind === 'ed25519' ? parts.seed : parts.scalar
  const key = new PortablePrivateKey(parts.kind, Uint8Array.from(secret))
  checkOwnPublicKey(parts.point, key.point)
  return key
}

function checkOwnPublicKey(claimed: Uint8Array | undefined, own: Uint8Array): void {
  if (claimed === undefined || equalBytes(claimed, own)) return
  throw new CryptoError('CRYPTO_INVALID_KEY', 'The private key comes with a public key that is not its own')
}

/** {@link CryptoProvider.generateKey} on the noble libraries. */
export function generatePortableKey(kind: Exclude<KeyKind, 'rsa'>): PrivateKey {
  // The type forbids it; those who come without types are told.
  if ((kind as KeyKind) === 'rsa')
    throw new CryptoError('CRYPTO_UNSUPPORTED', 'New RSA keys are not made: use an EC key or Ed25519')
  if (isMlDsa(kind)) return new PortableMlDsaPrivateKey(kind, { seed: newMlDsaSeed() })
  const { utils } = kind === 'ed25519' ? ed25519 : CURVES[kind]
  return new PortablePrivateKey(kind, utils.randomSecretKey())
}

class PortablePublicKey implements PublicKey {
  readonly kind: KeyKind
  readonly bits: number
  readonly spki: Uint8Array
  readonly #parts: PublicKeyParts

  /** `parts` must not change any more, and hold a point that is on its curve. */
  constructor(parts: PublicKeyParts, spki: Uint8Array) {
    this.kind = parts.kind
    this.bits = bitsOf(parts)
    this.spki = spki
    this.#parts = parts
  }

  verify(parameters: SignatureParameters, message: Uint8Array, signature: Uint8Array): boolean {
    if (!canSign(this.kind, this.bits, parameters)) return false
    const parts = this.#parts
    if (parts.kind === 'rsa') {
      if (parameters.kind === 'rsa-pss') return verifyRsaPss(parts, parameters.hash, message, signature)
      return parameters.kind === 'rsa-pkcs1' && verifyRsaPkcs1(parts, parameters.hash, message, signature)
    }
    if (parts.kind === 'ed25519') return verifyEd25519(parts.point, message, signature)
    if ('publicKey' in parts) return verifyMlDsa(parts.kind, parts.publicKey, message, signature)
    return parameters.kind === 'ecdsa' && verifyEcdsa(parts, parameters.hash, message, signature)
  }
}

class PortablePrivateKey implements PrivateKey {
  readonly kind: EcKind | 'ed25519'
  readonly publicKey: PublicKey
  /** The public key as its encodings carry it. */
  readonly point: Uint8Array
  readonly #secret: Uint8Array

  /** `secret` is a valid scalar or a seed, and becomes the key's. */
  constructor(kind: EcKind | 'ed25519', secret: Uint8Array) {
    this.kind = kind
    this.point = kind === 'ed25519' ? ed25519.getPublicKey(secret) : CURVES[kind].getPublicKey(secret, false)
    this.publicKey = new PortablePublicKey({ kind, point: this.point }, encodeSpki(kind, this.point))
    this.#secret = secret
  }

  sign(parameters: SignatureParameters, message: Uint8Array): Uint8Array {
    refuseUnsuited(this.publicKey, parameters)
    if (this.kind === 'ed25519' || parameters.kind !== 'ecdsa') return ed25519.sign(message, this.#secret)
    const digest = HASHES[parameters.hash](message)
    return CURVES[this.kind].sign(digest, this.#secret, { prehash: false, format: 'der' })
  }

  exportPkcs8(): Uint8Array {
    return encodePkcs8(this.kind, this.#secret, this.kind === 'ed25519' ? undefined : this.point)
  }
}

class PortableMlDsaPrivateKey implements PrivateKey {
  readonly kind: MlDsaKind
  readonly publicKey: PublicKey
  /** The public key as its encodings carry it. */
  readonly publicBytes: Uint8Array
  readonly #secret: MlDsaSecret
  readonly #expanded: Uint8Array

  /** @throws CryptoError CRYPTO_INVALID_KEY */
  constructor(kind: MlDsaKind, secret: MlDsaSecret) {
    const pair = expandMlDsa(kind, secret)
    this.kind = kind
    this.publicBytes = pair.publicKey
    this.publicKey = new PortablePublicKey(
      { kind, publicKey: pair.publicKey },
      encodeSpki(kind, pair.publicKey),
    )
    this.#expanded = pair.secretKey
    // The form that RFC 9881 §6 recommends, where there is a choice.
    this.#secret =
      secret.seed === undefined ? { expanded: pair.secretKey } : { seed: Uint8Array.from(secret.seed) }
  }

  sign(parameters: SignatureParameters, message: Uint8Array): Uint8Array {
    refuseUnsuited(this.publicKey, parameters)
    return signMlDsa(this.kind, this.#expanded, message)
  }

  exportPkcs8(): Uint8Array {
    return encodeMlDsaPkcs8(this.kind, this.#secret)
  }
}

class PortableRsaPrivateKey implements PrivateKey {
  readonly kind = 'rsa'
  readonly publicKey: PublicKey
  readonly #pkcs8: Uint8Array

  /** `pkcs8` becomes the key's. */
  constructor(parts: RsaPublicKeyParts, pkcs8: Uint8Array) {
    this.publicKey = importPortablePublicKey(encodeRsaSpki(parts))
    this.#pkcs8 = pkcs8
  }

  sign(): never {
    throw new CryptoError(
      'CRYPTO_UNSUPPORTED',
      'The portable provider does not sign with RSA: use the native provider, or an EC key',
    )
  }

  exportPkcs8(): Uint8Array {
    return Uint8Array.from(this.#pkcs8)
  }
}

function verifyEcdsa(
  { kind, point }: Extract<PublicKeyParts, { kind: EcKind }>,
  hash: HashName,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  // Both s and n - s are valid in X.509 and TLS; a preference for the low one is Bitcoin's.
  const options = { prehash: false, format: 'der', lowS: false } as const
  return CURVES[kind].verify(signature, HASHES[hash](message), point, options)
}

function verifyEd25519(point: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== ED25519_SIGNATURE_BYTES) return false
  // RFC 8032 to the letter: ZIP 215 accepts encodings of points that it forbids.
  return ed25519.verify(signature, message, point, { zip215: false })
}

/** Ed25519 points are looked at when a signature is: whatever is no point has no valid signature. ML-DSA keys are all valid. */
function checkOnCurve(parts: PublicKeyParts): void {
  if (!('point' in parts) || parts.kind === 'ed25519') return
  try {
    CURVES[parts.kind].Point.fromBytes(parts.point).assertValidity()
  } catch (cause) {
    throw new CryptoError('CRYPTO_INVALID_KEY', 'The public key is not a point on its curve', { cause })
  }
}
