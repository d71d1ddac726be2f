/** What signed tokens and keys in JSON are written in (RFC 7515 §2). */
import { CryptoError } from './errors.ts'

/**
 * Reads base64url without padding, and without bits that mean nothing, so that a value has one form.
 *
 * @param what for the message, such as `The token's header`
 * @throws CryptoError CRYPTO_JWS
 */
export function decodeBase64Url(text: unknown, what: string): Uint8Array<ArrayBuffer> {
  const refusal = (cause?: unknown): CryptoError =>
    new CryptoError('CRYPTO_JWS', `${what} is not base64url`, { cause })
  if (typeof text !== 'string' || !/^[A-Za-z0-9_-]*$/.test(text)) throw refusal()
  try {
    // Strict about the last bits, and then about padding too.
    return Uint8Array.fromBase64(text + '='.repeat((4 - (text.length % 4)) % 4), {
      alphabet: 'base64url',
      lastChunkHandling: 'strict',
    })
  } catch (cause) {
    throw refusal(cause)
  }
}

/** Writes base64url without padding. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: 'base64url', omitPadding: true })
}

/** Reads a JSON object. @throws CryptoError CRYPTO_JWS */
export function parseJsonObject(json: string, what: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new CryptoError('CRYPTO_JWS', `${what} is not JSON`, { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>
  throw new CryptoError('CRYPTO_JWS', `${what} is no JSON object`)
}
