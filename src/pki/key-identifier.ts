import type { CryptoProvider } from '../crypto/provider.ts'
import { parseSubjectPublicKey } from './algorithms.ts'

/** RFC 7093 §2 (1): SHA-256, cut to the 160 bits that readers are used to. */
export const KEY_IDENTIFIER_BYTES = 20

/** What a certificate calls its key, where the issuer has a provider at hand. @param spki DER SubjectPublicKeyInfo */
export function keyIdentifierOf(spki: Uint8Array, crypto: CryptoProvider): Uint8Array {
  const { bytes } = parseSubjectPublicKey(spki)
  return crypto.digest('sha256', bytes).subarray(0, KEY_IDENTIFIER_BYTES)
}
