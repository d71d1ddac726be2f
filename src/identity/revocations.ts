import type { CryptoProvider } from '../crypto/provider.ts'
import type { Certificate } from '../pki/certificate.ts'
import { CertificateError } from '../pki/errors.ts'
import { certificateLabel, timeText } from '../pki/label.ts'

/** What is no longer accepted. */
export type RevokedSubject =
  /** One certificate of a workload. */
  | { readonly kind: 'serial'; readonly serialNumber: string }
  /** Every certificate of a workload, those to come too. */
  | { readonly kind: 'identity'; readonly spiffeId: string }
  /** All that a certificate authority has certified, itself or by others: the SHA-256 of its SubjectPublicKeyInfo. */
  | { readonly kind: 'issuer'; readonly keySha256: string }

/** A list of revocations as it is kept and sent. All hexadecimal is in lower case. */
export interface RevocationList {
  /** Grows with every change: when it was made, in milliseconds since the Unix epoch. 0 before the first. */
  readonly revision: number
  /** Whose certificates the serial numbers are of. */
  readonly trustDomain: string
  /** Hexadecimal, without leading zeros. */
  readonly serialNumbers: readonly string[]
  readonly spiffeIds: readonly string[]
  /** SHA-256 of SubjectPublicKeyInfos, hexadecimal. */
  readonly issuerKeys: readonly string[]
}

/** Together, of all three kinds. As serial numbers, the longest of them, they are some 200 KB in each snapshot. */
export const MAX_REVOCATIONS = 10_000

/** What is known of a peer: its SPIFFE ID, and its certificates from the leaf to the anchor. */
export interface RevocablePeer {
  readonly name: string
  readonly path: readonly Certificate[]
}

/** The revocations in force, ready to be asked about every peer. Immutable. */
export class Revocations {
  static readonly NONE: Revocations = new Revocations({
    revision: 0,
    trustDomain: '',
    serialNumbers: [],
    spiffeIds: [],
    issuerKeys: [],
  })

  readonly list: RevocationList
  readonly #serialNumbers: ReadonlySet<string>
  readonly #spiffeIds: ReadonlySet<string>
  readonly #issuerKeys: ReadonlySet<string>

  constructor(list: RevocationList) {
    this.list = list
    this.#serialNumbers = new Set(list.serialNumbers)
    this.#spiffeIds = new Set(list.spiffeIds)
    this.#issuerKeys = new Set(list.issuerKeys)
  }

  /** Whether an identity is revoked, whatever certificate it has. */
  has(spiffeId: string): boolean {
    return this.#spiffeIds.has(spiffeId)
  }

  /** Why a peer is not to be accepted, if it is not. */
  find({ name, path }: RevocablePeer, crypto: CryptoProvider): RevokedSubject | undefined {
    if (this.has(name)) return { kind: 'identity', spiffeId: name }
    if (this.#serialNumbers.size > 0 && name.startsWith(`spiffe://${this.list.trustDomain}/`)) {
      const serialNumber = plainSerialNumber(path[0]!.serialNumber)
      if (this.#serialNumbers.has(serialNumber)) return { kind: 'serial', serialNumber }
    }
    if (this.#issuerKeys.size === 0) return undefined
    for (const issuer of issuersOf(path)) {
      const keySha256 = keyDigest(issuer, crypto)
      if (this.#issuerKeys.has(keySha256)) return { kind: 'issuer', keySha256 }
    }
    return undefined
  }

  /** @throws CertificateError PKI_REVOKED */
  check(peer: RevocablePeer, crypto: CryptoProvider): void {
    const revoked = this.find(peer, crypto)
    if (revoked === undefined) return
    const certificate = peer.path[0]!
    throw new CertificateError(
      'PKI_REVOKED',
      `The certificate ${certificateLabel(certificate)} is revoked: ${this.describe(revoked)}`,
      { certificate },
    )
  }

  /** For the operator: what is revoked, and by which list. */
  describe(revoked: RevokedSubject): string {
    return `${revokedText(revoked)} is on the list of ${timeText(this.list.revision)}`
  }
}

/** A subject in words. */
export function revokedText(subject: RevokedSubject): string {
  switch (subject.kind) {
    case 'serial':
      return `the serial number ${subject.serialNumber}`
    case 'identity':
      return `the identity ${subject.spiffeId}`
    case 'issuer':
      return `the issuer whose key has the SHA-256 ${subject.keySha256}`
  }
}

/** Hexadecimal without the leading zeros that some write. */
export function plainSerialNumber(hex: string): string {
  return hex.replace(/^0+(?=.)/, '')
}

/** A path of one is a leaf that is an anchor: it has signed itself. */
function issuersOf(path: readonly Certificate[]): readonly Certificate[] {
  return path.length === 1 ? path : path.slice(1)
}

/** Authorities are few and met in every handshake. */
const digests = new WeakMap<Certificate, string>()

function keyDigest(certificate: Certificate, crypto: CryptoProvider): string {
  let digest = digests.get(certificate)
  if (digest === undefined) {
    digest = crypto.digest('sha256', certificate.publicKey.spki).toHex()
    digests.set(certificate, digest)
  }
  return digest
}
