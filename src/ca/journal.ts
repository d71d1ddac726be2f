/** One line of the issuance journal: what was issued to whom, or refused and why. */
export type JournalEntry = IssuedEntry | IssuedTokenEntry | RefusedEntry | RevokedEntry | AlarmEntry

/** What the journal says of itself. */
export type JournalNote = BegunNote | RecoveredNote | ImportedNote

interface IssuedEntry {
  readonly kind: 'issued'
  /** RFC 3339, UTC. */
  readonly time: string
  readonly spiffeId: string
  readonly proof: string
  /** Hexadecimal. */
  readonly serialNumber: string
  /** The serial number of the certificate that proved the caller, which this one takes the place of; hexadecimal. */
  readonly renews?: string
  /** The serial number of the proxy's certificate beside which its workload holds this one; hexadecimal. */
  readonly beside?: string
  /** RFC 3339, UTC. */
  readonly notAfter: string
  /** SHA-256 of the certificate's DER, hexadecimal. */
  readonly certificateSha256: string
  /** SHA-256 of the key's SubjectPublicKeyInfo, hexadecimal. */
  readonly publicKeySha256: string
}

/** A JWT-SVID. The token itself is a secret as long as it lives, and is not recorded. */
interface IssuedTokenEntry {
  readonly kind: 'issued-jwt'
  /** RFC 3339, UTC. */
  readonly time: string
  readonly spiffeId: string
  readonly proof: string
  /** Its `jti`. */
  readonly tokenId: string
  /** The key that signed it. */
  readonly keyId: string
  /** Whom it is for. */
  readonly audience: readonly string[]
  /** RFC 3339, UTC. */
  readonly notAfter: string
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

/** What an operator has revoked, or has taken back. One of the three names says what. */
interface RevokedEntry {
  readonly kind: 'revoked' | 'unrevoked'
  /** RFC 3339, UTC. */
  readonly time: string
  /** An identity, with all its certificates. */
  readonly spiffeId?: string
  /** One certificate; hexadecimal. */
  readonly serialNumber?: string
  /** An authority, with all its certificates: SHA-256 of its key's SubjectPublicKeyInfo, hexadecimal. */
  readonly issuerKeySha256?: string
  /** The operator's words. */
  readonly reason?: string
  /** RFC 3339, UTC. Absent when only an operator can end it. */
  readonly ends?: string
}

/** A proxy met a certificate that our authority has signed and that no journal had. */
interface AlarmEntry {
  readonly kind: 'alarm'
  /** RFC 3339, UTC. */
  readonly time: string
  /** Whom the certificate names. */
  readonly spiffeId: string
  /** Hexadecimal. */
  readonly serialNumber: string
  /** SHA-256 of the certificate's DER, hexadecimal. */
  readonly certificateSha256: string
  /** SHA-256 of the SubjectPublicKeyInfo of what signed it, hexadecimal. */
  readonly issuerKeySha256: string
  /** The SPIFFE ID of the proxy. */
  readonly reportedBy: string
}

/** The first entry. */
interface BegunNote {
  readonly kind: 'begun'
  readonly time: string
  readonly trustDomain: string
  /** SHA-256 of the SubjectPublicKeyInfo of the key that signs this journal's heads, hexadecimal. */
  readonly keySha256: string
  /** SHA-256 of the older journal whose entries follow, hexadecimal. */
  readonly olderSha256?: string
}

/** A crash left something after the last head, which nobody was told to be recorded; it was cut off. */
interface RecoveredNote {
  readonly kind: 'recovered'
  readonly time: string
  readonly bytes: number
  /** Of what was cut off, hexadecimal. */
  readonly sha256: string
}

/** The entries before this one, after the first, are those of an older journal. */
interface ImportedNote {
  readonly kind: 'imported'
  readonly time: string
  readonly entries: number
  /** Lines of it that a crash had cut. */
  readonly unreadable: number
}

/** Where every issuance and every refusal is recorded before it is answered. */
export interface IssuanceJournal {
  /** Returns when the entry would survive a crash. @throws CaError CA_STORE_IO, CA_BUSY */
  append(entry: JournalEntry): Promise<void>
}
