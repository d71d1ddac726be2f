import type { IssuedJwtSvid } from '../client.ts'
import type { Timers } from '../timers.ts'

export interface TokenCacheOptions {
  /** Asks the controller. @throws ControlError */
  readonly issue: (audience: readonly string[]) => Promise<IssuedJwtSvid>
  readonly timers: Timers
}

/** Audiences that a workload speaks to; one that makes up more asks the controller for each. */
const MAX_KEPT = 256

interface KeptToken {
  readonly answer: Promise<IssuedJwtSvid>
  /** Half of its life is over then. */
  renewAtMs: number
}

/** Tokens that are given again until half of their life is over: libraries ask for one with every request they make. */
export class TokenCache {
  readonly #options: TokenCacheOptions
  readonly #kept = new Map<string, KeptToken>()

  constructor(options: TokenCacheOptions) {
    this.#options = options
  }

  /** A token for exactly this audience, with at least half of its life before it. @throws ControlError */
  async issue(audience: readonly string[]): Promise<IssuedJwtSvid> {
    const { issue, timers } = this.#options
    const name = JSON.stringify(audience)
    const kept = this.#kept.get(name)
    if (kept !== undefined && timers.nowMs() < kept.renewAtMs) return kept.answer
    const askedAtMs = timers.nowMs()
    // Whoever asks while it is on its way gets the same.
    const asked: KeptToken = { answer: issue(audience), renewAtMs: Infinity }
    this.#keep(name, asked)
    try {
      const token = await asked.answer
      asked.renewAtMs = (askedAtMs + token.expiresAtMs) / 2
      return token
    } catch (error) {
      if (this.#kept.get(name) === asked) this.#kept.delete(name)
      throw error
    }
  }

  #keep(name: string, token: KeptToken): void {
    this.#kept.delete(name)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size >= MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest)
    this.#kept.set(name, token)
  }
}
