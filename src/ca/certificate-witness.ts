import type { CryptoProvider } from '../crypto/provider.ts'
import { svidIdentity } from '../identity/svid.ts'
import { svidVerifier } from '../identity/svid-verifier.ts'
import { type TrustBundle, TrustBundles } from '../identity/trust-bundle.ts'
import type { Certificate } from '../pki/certificate.ts'
import { CertificateError } from '../pki/errors.ts'
import { BACKDATE_MS } from './generation.ts'
import type { IssuanceJournal } from './journal.ts'
import type { KnownCertificates } from './known-certificates.ts'

/** Certificates that a proxy has verified in handshakes. */
export interface MetCertificates {
  /** Who says so, for the operator. */
  readonly reportedBy: string
  readonly leaves: readonly Certificate[]
  /** What stands between the leaves and their anchors. */
  readonly issuers: readonly Certificate[]
}

/** A certificate that our authority has signed, and that no journal knows of. */
export interface CertificateAlarm {
  readonly spiffeId: string
  readonly serialNumber: string
  readonly certificateSha256: string
  /** The SHA-256 of the SubjectPublicKeyInfo of what signed it. */
  readonly issuerKeySha256: string
  readonly reportedBy: string
}

export interface CertificateWitnessOptions {
  readonly crypto: CryptoProvider
  readonly known: KnownCertificates
  readonly journal: IssuanceJournal
  /** Our own anchors. */
  readonly bundle: () => TrustBundle
  /** Whether an issuer's certificate is one of ours, or signed by a root whose key is ours alone. */
  readonly isOurs: (issuer: Certificate, anchor: Certificate) => boolean
  /** Reads out of the journals of all controllers what was issued since then, and makes it known. */
  readonly lookUp: (sinceMs: number) => Promise<void>
  /** When the last of those journals began: what was issued before cannot be known. */
  readonly begunMs: () => Promise<number>
  /** The longest that a certificate of ours has ever lived. */
  readonly longestLifeMs: number
  readonly nowMs: () => number
  readonly onAlarm: (alarm: CertificateAlarm) => void
  /** Told when the journals could not be read; nobody is alarmed by that. */
  readonly onFailure: (error: unknown) => void
}

interface Suspect {
  readonly leaf: Certificate
  readonly alarm: CertificateAlarm
}

/** Reports beyond these wait for the next, since their proxies meet the certificates again. */
const MAX_SUSPECTS = 1_000

/** Certificates that were judged, so that each is judged, and raises an alarm, once. */
const MAX_JUDGED = 10_000

/** How far the clocks of controllers that sign for one trust domain may differ, and the second that certificates are cut to. */
const CLOCK_MS = 60_000

/**
 * Finds certificates that our authority has signed and no journal has: somebody else has its key, or a controller does not
 * record what it does. A report is no evidence by itself. Only what verifies under our own anchors is looked at, so
 * that whoever reports cannot make an alarm up, and certificates of others are none of our business.
 */
export class CertificateWitness {
  readonly #options: CertificateWitnessOptions
  readonly #judged = new Set<string>()
  #suspects = new Map<string, Suspect>()
  #looking: Promise<void> | undefined
  #alarms = 0

  constructor(options: CertificateWitnessOptions) {
    this.#options = options
  }

  /** How many were raised since the start. */
  get alarms(): number {
    return this.#alarms
  }

  /** Takes a report; what it leads to comes later. */
  report({ reportedBy, leaves, issuers }: MetCertificates): void {
    const { crypto, known } = this.#options
    for (const leaf of leaves) {
      const certificateSha256 = crypto.digest('sha256', leaf.der).toHex()
      if (known.has(certificateSha256) || this.#judged.has(certificateSha256)) continue
      const issuer = this.#issuerOf(leaf, issuers)
      if (issuer === undefined || this.#suspects.size >= MAX_SUSPECTS) continue
      const alarm: CertificateAlarm = {
        spiffeId: svidIdentity(leaf).toString(),
        serialNumber: leaf.serialNumber,
        certificateSha256,
        issuerKeySha256: crypto.digest('sha256', issuer.publicKey.spki).toHex(),
        reportedBy,
      }
      this.#suspects.set(certificateSha256, { leaf, alarm })
    }
    if (this.#suspects.size > 0) this.#looking ??= this.#look()
  }

  /** Resolves when everything that was reported so far has been judged. */
  async settled(): Promise<void> {
    while (this.#looking !== undefined) await this.#looking
  }

  /** What signed a leaf, if it is valid by our own anchors and ours. */
  #issuerOf(leaf: Certificate, issuers: readonly Certificate[]): Certificate | undefined {
    const { bundle, crypto, isOurs, nowMs } = this.#options
    const bundles = TrustBundles.of(bundle())
    try {
      const verifier = svidVerifier({ bundles: () => bundles, crypto })
      const { path } = verifier.verify([leaf, ...issuers], { peerRole: 'client', nowMs: nowMs() })
      const issuer = path[1]
      return issuer !== undefined && isOurs(issuer, path.at(-1)!) ? issuer : undefined
    } catch (error) {
      if (error instanceof CertificateError) return undefined
      throw error
    }
  }

  async #look(): Promise<void> {
    try {
      while (this.#suspects.size > 0) {
        const suspects = this.#suspects
        this.#suspects = new Map()
        await this.#judge(suspects)
      }
    } catch (error) {
      this.#suspects.clear()
      this.#options.onFailure(error)
    } finally {
      this.#looking = undefined
    }
  }

  async #judge(suspects: ReadonlyMap<string, Suspect>): Promise<void> {
    const { known, lookUp, begunMs, longestLifeMs, nowMs } = this.#options
    const begun = await begunMs()
    const oldestMs = Math.min(...Array.from(suspects.values(), ({ leaf }) => leaf.notBeforeMs))
    await lookUp(Math.max(oldestMs, nowMs() - longestLifeMs - BACKDATE_MS) - CLOCK_MS)
    for (const [name, { leaf, alarm }] of suspects) {
      this.#remember(name)
      if (known.has(name)) continue
      const { notBeforeMs, notAfterMs } = leaf
      // What was issued before the journal began has ended when the longest life is over.
      const isOlder =
        notBeforeMs + BACKDATE_MS < begun + CLOCK_MS && notAfterMs <= begun + longestLifeMs + CLOCK_MS
      if (!isOlder) await this.#raise(alarm)
    }
  }

  async #raise(alarm: CertificateAlarm): Promise<void> {
    this.#alarms++
    this.#options.onAlarm(alarm)
    await this.#options.journal.append({
      kind: 'alarm',
      time: new Date(this.#options.nowMs()).toISOString(),
      ...alarm,
    })
  }

  #remember(name: string): void {
    if (this.#judged.size >= MAX_JUDGED) this.#judged.delete(this.#judged.values().next().value!)
    this.#judged.add(name)
  }
}
