/** The two certificates of an authority: the root is the trust anchor and signs only the intermediate, which signs the rest. */
export type AuthorityRole = 'root' | 'intermediate'

/** A place for one of them. The authorities that rotations bring have numbers from 2. */
export type AuthoritySlot = AuthorityRole | `${AuthorityRole}-${number}`

/** The place of a certificate of the authority with this number. */
export function slotOf(role: AuthorityRole, authority: number): AuthoritySlot {
  return authority === 1 ? role : `${role}-${authority}`
}

/** A certificate authority at rest. */
export interface StoredAuthority {
  /** DER. */
  readonly certificate: Uint8Array
  /** DER PKCS#8. */
  readonly privateKey: Uint8Array
  /** DER: what is shown to peers along with the certificate. @default nothing */
  readonly chain?: readonly Uint8Array[]
}

/** Where authorities outlive the process. What it saves replaces what was there, whole or not at all, whatever happens. */
export interface CaStore {
  /** @throws CaError CA_STORE_PERMISSIONS, CA_STORE_CORRUPT, CA_STORE_IO */
  load(slot: AuthoritySlot): Promise<StoredAuthority | undefined>
  /** @throws CaError CA_STORE_IO */
  save(slot: AuthoritySlot, authority: StoredAuthority): Promise<void>
  /** Forgets what the slot holds, if anything. @throws CaError CA_STORE_IO */
  remove(slot: AuthoritySlot): Promise<void>
  /** The slots that hold something. @throws CaError CA_STORE_IO */
  slots(): Promise<readonly AuthoritySlot[]>
  /** The record of how far a rotation has come. @throws CaError CA_STORE_PERMISSIONS, CA_STORE_IO */
  loadRotation(): Promise<string | undefined>
  /** @throws CaError CA_STORE_IO */
  saveRotation(record: string): Promise<void>
  /** The list of what is revoked. @throws CaError CA_STORE_PERMISSIONS, CA_STORE_IO */
  loadRevocations(): Promise<string | undefined>
  /** @throws CaError CA_STORE_IO */
  saveRevocations(record: string): Promise<void>
  /** The keys for JWT-SVIDs. @throws CaError CA_STORE_PERMISSIONS, CA_STORE_IO */
  loadJwtKeys(): Promise<string | undefined>
  /** @throws CaError CA_STORE_IO */
  saveJwtKeys(record: string): Promise<void>
  /** Another text after every write of the record, and cheaper to ask for than the record. @throws CaError CA_STORE_IO */
  rotationRevision(): Promise<string>
}
