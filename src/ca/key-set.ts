import type { CryptoProvider } from '../crypto/provider.ts'
import { type JwsKey, parseJwks } from '../crypto/jws.ts'
import { messageOf } from '../errors.ts'
import { CaError } from './errors.ts'

export interface KeySetOptions {
  readonly crypto: CryptoProvider
  /** The key set as JSON, from wherever it is. */
  readonly load: () => Promise<string>
  /** What is being loaded, for messages. */
  readonly source: string
  /** @default 5 minutes */
  readonly refreshMs?: number
}

/** Issuers publish new keys well before they sign with them. */
const REFRESH_MS = 5 * 60 * 1000

/** A token with a key id that is not known may be newer than our copy, or made up by anyone. */
const MIN_REFRESH_MS = 10 * 1000

/** A set that cannot be refreshed is good for so long: an issuer's outage is not ours, and keys are withdrawn rarely. */
const MAX_STALE_MS = 3600 * 1000

/** The keys that an issuer of tokens publishes, fetched when needed and kept for a while. */
export class KeySet {
  readonly #options: KeySetOptions
  readonly #refreshMs: number
  #keys: readonly JwsKey[] | undefined
  #loadedAtMs = -Infinity
  #triedAtMs = -Infinity
  #loading: Promise<void> | undefined
  #failure: unknown

  constructor(options: KeySetOptions) {
    this.#options = options
    this.#refreshMs = options.refreshMs ?? REFRESH_MS
  }

  /**
   * The keys that a token with this key id may be signed by: all of them if it names none.
   *
   * @throws CaError CA_ATTESTATION_UNAVAILABLE when there is no set to be had
   */
  async find(keyId: string | undefined, nowMs: number): Promise<readonly JwsKey[]> {
    if (nowMs - this.#loadedAtMs >= this.#refreshMs) await this.#refresh(nowMs)
    const found = this.#matching(keyId, nowMs)
    if (found.length > 0) return found
    await this.#refresh(nowMs)
    return this.#matching(keyId, nowMs)
  }

  #matching(keyId: string | undefined, nowMs: number): readonly JwsKey[] {
    if (this.#keys === undefined || nowMs - this.#loadedAtMs > MAX_STALE_MS)
      throw new CaError(
        'CA_ATTESTATION_UNAVAILABLE',
        `The keys of ${this.#options.source} cannot be had: ${messageOf(this.#failure)}`,
        { cause: this.#failure },
      )
    return keyId === undefined ? this.#keys : this.#keys.filter((key) => key.keyId === keyId)
  }

  /** One at a time, and not too often: strangers can make us want to. */
  async #refresh(nowMs: number): Promise<void> {
    if (this.#loading === undefined) {
      if (nowMs - this.#triedAtMs < MIN_REFRESH_MS) return
      this.#triedAtMs = nowMs
      this.#loading = this.#load(nowMs).finally(() => (this.#loading = undefined))
    }
    await this.#loading
  }

  async #load(nowMs: number): Promise<void> {
    try {
      this.#keys = parseJwks(await this.#options.load(), this.#options.crypto)
      this.#loadedAtMs = nowMs
    } catch (error) {
      this.#failure = error
    }
  }
}
