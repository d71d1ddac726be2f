/** What a join token stands for. The token itself is not kept, only its SHA-256. */
export interface TokenRegistration {
  readonly spiffeId: string
  readonly createdAtMs: number
  readonly expiresAtMs: number
  /** How often it may be used in all. @default any number of times */
  readonly uses?: number
}

/** Where the registrations of join tokens are kept, by the hash of the token. */
export interface TokenStore {
  /** @throws CaError CA_STORE_IO */
  save(tokenSha256: Uint8Array, registration: TokenRegistration): Promise<void>
  /** @throws CaError CA_STORE_PERMISSIONS, CA_STORE_CORRUPT, CA_STORE_IO */
  find(tokenSha256: Uint8Array): Promise<TokenRegistration | undefined>
  /**
   * Counts one use of a token that may be used `uses` times; false when it has been used as often already. Of several who
   * ask at once, no more are told that they may. The count outlives a crash.
   *
   * @throws CaError CA_STORE_IO
   */
  countUse(tokenSha256: Uint8Array, uses: number): Promise<boolean>
  /**
   * Forgets registrations that expired before `expiredBeforeMs`; returns how many.
   *
   * @throws CaError CA_STORE_IO
   */
  sweep(expiredBeforeMs: number): Promise<number>
}
