/** One line of the issuance journal: what was issued to whom, or refused and why. */
export type JournalEntry = IssuedEntry | RefusedEntry

interface IssuedEntry {
  readonly kind: 'issued'
  /** RFC 3339, UTC. */
  readonly time: string
  readonly spiffeId: string
  readonly proof: string
  /** Hexadecimal. */
  readonly serialNumber: string
  /** RFC 3339, UTC. */
  readonly notAfter: string
  /** SHA-256 of the certificate's DER, hexadecimal. */
  readonly certificateSha256: string
  /** SHA-256 of the key's SubjectPublicKeyInfo, hexadecimal. */
  readonly publicKeySha256: string
}

interface RefusedEntry {
  readonly kind: 'refused'
  /** RFC 3339, UTC. */
  readonly time: string
  /** Absent when the caller could not be told. */
  readonly spiffeId?: string
  readonly proof?: string
  readonly code: string
  readonly reason: string
  /** Refusals since the last that is recorded, which came too fast to be. */
  readonly unrecordedBefore?: number
}

/** Where every issuance and every refusal is recorded before it is answered. */
export interface IssuanceJournal {
  /** Returns when the entry would survive a crash. @throws CaError CA_STORE_IO, CA_BUSY */
  append(entry: JournalEntry): Promise<void>
}
