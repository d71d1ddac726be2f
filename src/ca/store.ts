/** The two authorities: the root is the trust anchor and signs only the intermediate, which signs the rest. */
export type AuthoritySlot = 'root' | 'intermediate'

/** A certificate authority at rest. */
export interface StoredAuthority {
  /** DER. */
  readonly certificate: Uint8Array
  /** DER PKCS#8. */
  readonly privateKey: Uint8Array
}

/** Where authorities outlive the process. */
export interface CaStore {
  /** @throws CaError CA_STORE_PERMISSIONS, CA_STORE_CORRUPT, CA_STORE_IO */
  load(slot: AuthoritySlot): Promise<StoredAuthority | undefined>
  /**
   * Replaces what the slot held, whole or not at all, whatever happens to the machine meanwhile.
   *
   * @throws CaError CA_STORE_IO
   */
  save(slot: AuthoritySlot, authority: StoredAuthority): Promise<void>
}
