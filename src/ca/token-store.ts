/** What a join token stands for. The token itself is not kept, only its SHA-256. */
export interface TokenRegistration {
  readonly spiffeId: string
  readonly createdAtMs: number
  readonly expiresAtMs: number
}

/** Where the registrations of join tokens are kept, by the hash of the token. */
export interface TokenStore {
  /** @throws CaError CA_STORE_IO */
  save(tokenSha256: Uint8Array, registration: TokenRegistration): Promise<void>
  /** @throws CaError CA_STORE_PERMISSIONS, CA_STORE_CORRUPT, CA_STORE_IO */
  find(tokenSha256: Uint8Array): Promise<TokenRegistration | undefined>
  /**
   * Forgets registrations that expired before `expiredBeforeMs`; returns how many.
   *
   * @throws CaError CA_STORE_IO
   */
  sweep(expiredBeforeMs: number): Promise<number>
}
