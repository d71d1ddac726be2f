import { HandfastError } from '../errors.ts'

/** Every way in which a cryptographic operation can be refused. */
export const CRYPTO_ERROR_CODES = {
  CRYPTO_UNSUPPORTED: 'The provider does not offer this algorithm or kind of key',
  CRYPTO_INVALID_KEY: 'A key could not be read, or is not valid for its algorithm',
  CRYPTO_INVALID_KEY_SHARE: "A peer's public value is malformed or leads to a forbidden shared secret",
  CRYPTO_JWS: 'A signed token, or a set of keys for such tokens, is not well-formed',
  CRYPTO_FAILED: 'A primitive reported a failure that its inputs do not explain',
} as const

export type CryptoErrorCode = keyof typeof CRYPTO_ERROR_CODES

/** A key, a public value or a request that the provider refuses. */
export class CryptoError extends HandfastError<CryptoErrorCode> {}
