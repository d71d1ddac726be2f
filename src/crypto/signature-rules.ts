import { CryptoError } from './errors.ts'
import { EC_FIELD_BYTES } from './key-encoding.ts'
import { HASH_BYTES, type KeyKind, type PublicKey, type SignatureParameters } from './provider.ts'

/** The DigestInfo around a hash in PKCS #1 v1.5 has 19 bytes for every SHA-2, and 11 more of padding at least. */
const PKCS1_OVERHEAD_BYTES = 19 + 11

/** Whether a key of this kind and size can make such a signature at all. */
export function canSign(kind: KeyKind, bits: number, parameters: SignatureParameters): boolean {
  switch (parameters.kind) {
    case 'ecdsa':
      return kind in EC_FIELD_BYTES
    case 'ed25519':
    case 'ml-dsa-44':
    case 'ml-dsa-65':
    case 'ml-dsa-87':
      return kind === parameters.kind
    case 'rsa-pss':
      // EMSA-PSS needs room for the hash, a salt of its length and two bytes (RFC 8017 §9.1.1).
      return kind === 'rsa' && Math.ceil((bits - 1) / 8) >= 2 * HASH_BYTES[parameters.hash] + 2
    case 'rsa-pkcs1':
      return kind === 'rsa' && Math.ceil(bits / 8) >= HASH_BYTES[parameters.hash] + PKCS1_OVERHEAD_BYTES
  }
}

/** Refuses to sign what {@link canSign} denies. @throws CryptoError CRYPTO_UNSUPPORTED */
export function refuseUnsuited({ kind, bits }: PublicKey, parameters: SignatureParameters): void {
  if (canSign(kind, bits, parameters)) return
  const hash = 'hash' in parameters ? ` with ${parameters.hash}` : ''
  throw new CryptoError(
    'CRYPTO_UNSUPPORTED',
    `A key of kind ${kind} with ${bits} bits cannot make ${parameters.kind} signatures${hash}`,
  )
}
