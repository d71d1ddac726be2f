/** ML-DSA on noble-post-quantum. */
import { shake256 } from '@noble/hashes/sha3.js'
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js'

import { equalBytes } from '../bytes/bytes.ts'
import { CryptoError } from './errors.ts'
import type { MlDsaSecret } from './ml-dsa-key.ts'
import type { MlDsaKind } from './provider.ts'

const ML_DSA = { 'ml-dsa-44': ml_dsa44, 'ml-dsa-65': ml_dsa65, 'ml-dsa-87': ml_dsa87 } as const

/** Of a new key. */
const SEED_BYTES = 32

/** Where an expanded key holds the hash of its public key (FIPS 204 §7.2, skEncode: after rho and K). */
const TR_OFFSET = 64
const TR_BYTES = 64

export interface MlDsaKeyPair {
  readonly publicKey: Uint8Array
  /** Expanded. */
  readonly secretKey: Uint8Array
}

export function newMlDsaSeed(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(SEED_BYTES))
}

/**
 * Both keys, which belong together (RFC 9881 §6). Of a key without its seed one part is believed: t0, which noble does
 * not give out to be compared, and with which at worst no signature verifies.
 *
 * @throws CryptoError CRYPTO_INVALID_KEY
 */
export function expandMlDsa(kind: MlDsaKind, { seed, expanded }: MlDsaSecret): MlDsaKeyPair {
  if (seed === undefined) return pairOfExpanded(kind, expanded)
  const pair = ML_DSA[kind].keygen(seed)
  if (expanded === undefined || equalBytes(expanded, pair.secretKey)) return pair
  throw inconsistent('is not what its seed expands to')
}

/** Hedged (FIPS 204 §3.4). */
export function signMlDsa(kind: MlDsaKind, secretKey: Uint8Array, message: Uint8Array): Uint8Array {
  return ML_DSA[kind].sign(message, secretKey)
}

export function verifyMlDsa(
  kind: MlDsaKind,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  return ML_DSA[kind].verify(signature, message, publicKey)
}

function pairOfExpanded(kind: MlDsaKind, expanded: Uint8Array): MlDsaKeyPair {
  const publicKey = publicKeyOf(kind, expanded)
  const tr = expanded.subarray(TR_OFFSET, TR_OFFSET + TR_BYTES)
  if (!equalBytes(shake256(publicKey, { dkLen: TR_BYTES }), tr))
    throw inconsistent('holds the hash of another public key')
  return { publicKey, secretKey: Uint8Array.from(expanded) }
}

function publicKeyOf(kind: MlDsaKind, expanded: Uint8Array): Uint8Array {
  try {
    return ML_DSA[kind].getPublicKey(expanded)
  } catch (cause) {
    throw inconsistent('holds numbers out of range', cause)
  }
}

function inconsistent(problem: string, cause?: unknown): CryptoError {
  return new CryptoError('CRYPTO_INVALID_KEY', `The expanded ML-DSA key ${problem}`, { cause })
}
