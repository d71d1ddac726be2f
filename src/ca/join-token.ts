import { utf8 } from '../bytes/bytes.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import type { SpiffeId } from '../identity/spiffe-id.ts'
import type { TokenStore } from './token-store.ts'

/** Lets people and secret scanners tell what a string is. */
const PREFIX = 'hfj_'

/** 256 bits: nobody guesses one, so a lookup needs no rate limit and a hash needs no salt. */
const RANDOM_BYTES = 32

/** Base64url without padding of 32 bytes. */
const TOKEN = /^hfj_[A-Za-z0-9_-]{43}$/

/** A token that lives longer is a password: 30 days. */
export const MAX_TOKEN_TTL_MS: number = 30 * 24 * 3600 * 1000

/** A token that may be used more often may as well be used without limit. */
export const MAX_TOKEN_USES = 1_000

/** A join token as it is given to a workload, once. */
export interface JoinToken {
  /** The secret. */
  readonly text: string
  readonly expiresAtMs: number
}

export interface CreateTokenOptions {
  readonly crypto: CryptoProvider
  readonly store: TokenStore
  readonly nowMs: number
  readonly ttlMs: number
  /** How often it may be used, up to {@link MAX_TOKEN_USES}. @default any number of times */
  readonly uses?: number | undefined
}

/**
 * A new token that lets whoever holds it have certificates for `id` until it expires.
 *
 * @throws RangeError for a lifetime that is not above zero or exceeds {@link MAX_TOKEN_TTL_MS}, and for as many uses
 * @throws CaError CA_STORE_IO
 */
export async function createJoinToken(
  id: SpiffeId,
  { crypto, store, nowMs, ttlMs, uses }: CreateTokenOptions,
): Promise<JoinToken> {
  if (!(ttlMs > 0 && ttlMs <= MAX_TOKEN_TTL_MS))
    throw new RangeError(
      `A join token lives for more than 0 and at most ${MAX_TOKEN_TTL_MS} ms, got ${ttlMs}`,
    )
  if (uses !== undefined && !(Number.isSafeInteger(uses) && uses > 0 && uses <= MAX_TOKEN_USES))
    throw new RangeError(`A join token is used 1 to ${MAX_TOKEN_USES} times, got ${uses}`)
  const text = PREFIX + crypto.random(RANDOM_BYTES).toBase64({ alphabet: 'base64url', omitPadding: true })
  const expiresAtMs = nowMs + ttlMs
  await store.save(hashJoinToken(text, crypto), {
    spiffeId: id.toString(),
    createdAtMs: nowMs,
    expiresAtMs,
    ...(uses !== undefined && { uses }),
  })
  return { text, expiresAtMs }
}

/** Whether the text has the form of a join token at all. */
export function isJoinToken(text: string): boolean {
  return TOKEN.test(text)
}

/** The SHA-256 under which a token is known. */
export function hashJoinToken(text: string, crypto: CryptoProvider): Uint8Array {
  return crypto.digest('sha256', utf8(text))
}
