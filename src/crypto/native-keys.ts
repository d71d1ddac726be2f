import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  type SignKeyObjectInput,
  verify,
} from 'node:crypto'

import { equalBytes } from '../bytes/bytes.ts'
import { CryptoError } from './errors.ts'
import { bitsOf, decodeSpki, type EcKind, publicKeyBytes, type PublicKeyParts } from './key-encoding.ts'
import { decodePkcs8, encodeMlDsaPkcs8, encodePkcs8 } from './pkcs8.ts'
import { plainBytes } from './plain-bytes.ts'
import {
  HASH_BYTES,
  type KeyKind,
  type PrivateKey,
  type PublicKey,
  type SignatureParameters,
} from './provider.ts'
import { canSign, refuseUnsuited } from './signature-rules.ts'

/** OpenSSL's names for the curves that keys lie on. */
const CURVES: Readonly<Record<EcKind, string>> = {
  'ec-p256': 'prime256v1',
  'ec-p384': 'secp384r1',
  'ec-p521': 'secp521r1',
}

/** {@link CryptoProvider.importPublicKey} on node:crypto. */
export function importNativePublicKey(spki: Uint8Array): PublicKey {
  const parts = decodeSpki(spki)
  const key = reading(() => createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }))
  return new NativePublicKey(key, parts, Uint8Array.from(spki))
}

/** {@link CryptoProvider.importPrivateKey} on node:crypto. */
export function importNativePrivateKey(pkcs8: Uint8Array): PrivateKey {
  const parts = decodePkcs8(pkcs8)
  if (parts.kind === 'rsa') return new NativePrivateKey(readPkcs8(pkcs8))
  if ('secret' in parts) {
    // OpenSSL holds seed and expansion against each other, and an expansion against itself (RFC 9881 §6).
    const key = new NativePrivateKey(readPkcs8(encodeMlDsaPkcs8(parts.kind, parts.secret)))
    checkOwnPublicKey(key.publicKey, parts.kind, parts.publicKey)
    return key
  }
  const secret = parts.kind === 'ed25519' ? parts.seed : parts.scalar
  // OpenSSL believes the public key that comes with a private one; without it, it computes the right one.
  const key = new NativePrivateKey(readPkcs8(encodePkcs8(parts.kind, secret)))
  const point = checkOwnPublicKey(key.publicKey, parts.kind, parts.point)
  // Read once more, for OpenSSL also writes a key the way it was read.
  return parts.kind === 'ed25519'
    ? key
    : new NativePrivateKey(readPkcs8(encodePkcs8(parts.kind, secret, point)))
}

/** What the kind of key has for a public key, which must be the claimed one. @throws CryptoError CRYPTO_INVALID_KEY */
function checkOwnPublicKey(
  { spki }: PublicKey,
  kind: Exclude<KeyKind, 'rsa'>,
  claimed: Uint8Array | undefined,
): Uint8Array {
  const own = spki.subarray(spki.length - publicKeyBytes(kind))
  if (claimed === undefined || equalBytes(claimed, own)) return own
  throw new CryptoError('CRYPTO_INVALID_KEY', 'The private key comes with a public key that is not its own')
}

/** {@link CryptoProvider.generateKey} on node:crypto. */
export function generateNativeKey(kind: Exclude<KeyKind, 'rsa'>): PrivateKey {
  // The type forbids it; those who come without types are told.
  if ((kind as KeyKind) === 'rsa')
    throw new CryptoError('CRYPTO_UNSUPPORTED', 'New RSA keys are not made: use an EC key or Ed25519')
  return new NativePrivateKey(generate(kind).privateKey)
}

/** The overloads of node:crypto take no union. */
function generate(kind: Exclude<KeyKind, 'rsa'>): { readonly privateKey: KeyObject } {
  switch (kind) {
    case 'ed25519':
      return generateKeyPairSync('ed25519')
    case 'ml-dsa-44':
      return generateKeyPairSync('ml-dsa-44')
    case 'ml-dsa-65':
      return generateKeyPairSync('ml-dsa-65')
    case 'ml-dsa-87':
      return generateKeyPairSync('ml-dsa-87')
    case 'ec-p256':
    case 'ec-p384':
    case 'ec-p521':
      return generateKeyPairSync('ec', { namedCurve: CURVES[kind] })
  }
}

/** What of a private key crosses to another thread of this process: a reference to OpenSSL's key, and no copy of it. */
export type ThreadKey = KeyObject

/** For `postMessage`. @throws CryptoError CRYPTO_UNSUPPORTED for a key of another provider */
export function lendNativeKey(key: PrivateKey): ThreadKey {
  if (key instanceof NativePrivateKey) return key.lend()
  throw new CryptoError('CRYPTO_UNSUPPORTED', 'Only keys of the native provider are shared among threads')
}

/** The key that another thread has lent. */
export function adoptNativeKey(key: ThreadKey): PrivateKey {
  return new NativePrivateKey(key)
}

class NativePublicKey implements PublicKey {
  readonly kind: KeyKind
  readonly bits: number
  readonly spki: Uint8Array
  readonly #key: KeyObject

  constructor(key: KeyObject, parts: PublicKeyParts, spki: Uint8Array) {
    this.kind = parts.kind
    this.bits = bitsOf(parts)
    this.spki = spki
    this.#key = key
  }

  verify(parameters: SignatureParameters, message: Uint8Array, signature: Uint8Array): boolean {
    if (!canSign(this.kind, this.bits, parameters)) return false
    // OpenSSL lets PSS signatures through that lack their leading zeros (RFC 8017 §8.1.2, step 1, does not).
    if (this.kind === 'rsa' && signature.length !== Math.ceil(this.bits / 8)) return false
    return verify(hashOf(parameters), message, keyInput(this.#key, parameters), signature)
  }
}

class NativePrivateKey implements PrivateKey {
  readonly kind: KeyKind
  readonly publicKey: PublicKey
  readonly #key: KeyObject

  constructor(key: KeyObject) {
    const publicKey = createPublicKey(key)
    const spki = plainBytes(publicKey.export({ format: 'der', type: 'spki' }))
    this.publicKey = new NativePublicKey(publicKey, decodeSpki(spki), spki)
    this.kind = this.publicKey.kind
    this.#key = key
  }

  sign(parameters: SignatureParameters, message: Uint8Array): Uint8Array {
    refuseUnsuited(this.publicKey, parameters)
    try {
      return plainBytes(sign(hashOf(parameters), message, keyInput(this.#key, parameters)))
    } catch (cause) {
      throw new CryptoError('CRYPTO_FAILED', `OpenSSL could not sign with the ${this.kind} key`, { cause })
    }
  }

  lend(): ThreadKey {
    return this.#key
  }

  exportPkcs8(): Uint8Array {
    return plainBytes(this.#key.export({ format: 'der', type: 'pkcs8' }))
  }
}

/** Ed25519 and ML-DSA hash by themselves. */
function hashOf(parameters: SignatureParameters): string | null {
  return 'hash' in parameters ? parameters.hash : null
}

function keyInput(key: KeyObject, parameters: SignatureParameters): SignKeyObjectInput {
  switch (parameters.kind) {
    case 'ecdsa':
      return { key, dsaEncoding: 'der' }
    case 'ed25519':
    case 'ml-dsa-44':
    case 'ml-dsa-65':
    case 'ml-dsa-87':
      return { key }
    case 'rsa-pss':
      return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: HASH_BYTES[parameters.hash] }
    case 'rsa-pkcs1':
      return { key, padding: constants.RSA_PKCS1_PADDING }
  }
}

function readPkcs8(pkcs8: Uint8Array): KeyObject {
  return reading(() => createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' }))
}

function reading(read: () => KeyObject): KeyObject {
  try {
    return read()
  } catch (cause) {
    throw new CryptoError('CRYPTO_INVALID_KEY', 'OpenSSL does not accept the key', { cause })
  }
}
