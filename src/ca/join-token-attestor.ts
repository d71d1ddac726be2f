import type { CryptoProvider } from '../crypto/provider.ts'
import { SpiffeId } from '../identity/spiffe-id.ts'
import type { AttestedCaller, Attestor, Evidence } from './attestation.ts'
import { CaError } from './errors.ts'
import { hashJoinToken, isJoinToken } from './join-token.ts'
import type { TokenStore } from './token-store.ts'

/** So much of a token's hash goes into the journal, in bytes: enough to tell tokens apart. */
const SHOWN_HASH_BYTES = 8

/**
 * Proves a caller by a join token: the identity is the one the token was made for. A token may be used again until it
 * expires, since a workload restarts, unless it was made for a number of uses; a use counts whatever comes of it.
 * Renewals need no token (PeerSvidAttestor).
 */
export class JoinTokenAttestor implements Attestor<'join-token'> {
  readonly #crypto: CryptoProvider
  readonly #store: TokenStore

  constructor({ crypto, store }: { readonly crypto: CryptoProvider; readonly store: TokenStore }) {
    this.#crypto = crypto
    this.#store = store
  }

  /** @throws CaError CA_TOKEN_UNKNOWN, CA_TOKEN_EXPIRED, CA_TOKEN_USED, CA_STORE_… */
  async attest(
    { token }: Extract<Evidence, { kind: 'join-token' }>,
    { nowMs }: { readonly nowMs: number },
  ): Promise<AttestedCaller> {
    if (!isJoinToken(token)) throw new CaError('CA_TOKEN_UNKNOWN', 'The join token is not of the form hfj_…')
    const hash = hashJoinToken(token, this.#crypto)
    // The lookup is by hash: what its timing tells about the hash says nothing about a token.
    const registration = await this.#store.find(hash)
    const proof = `join-token:${hash.subarray(0, SHOWN_HASH_BYTES).toHex()}`
    if (registration === undefined) throw new CaError('CA_TOKEN_UNKNOWN', `No registration for ${proof}`)
    if (nowMs >= registration.expiresAtMs) {
      const ended = new Date(registration.expiresAtMs).toISOString()
      throw new CaError('CA_TOKEN_EXPIRED', `${proof} for ${registration.spiffeId} expired at ${ended}`)
    }
    const { uses } = registration
    if (uses !== undefined && !(await this.#store.countUse(hash, uses)))
      throw new CaError(
        'CA_TOKEN_USED',
        `${proof} for ${registration.spiffeId} has been used ${uses === 1 ? 'before' : `${uses} times`}`,
      )
    return { id: SpiffeId.parse(registration.spiffeId), proof }
  }
}
