import type { IssuanceJournal, JournalEntry } from './journal.ts'

/** Some 150 bytes each; a mesh that issues 500 certificates a second for an hour has twice as many alive. */
const MAX_KNOWN = 1_000_000

/** The certificates that are known to have been issued and may still be alive, by the SHA-256 of their DER. */
export class KnownCertificates {
  readonly #expiresAtMs = new Map<string, number>()

  has(certificateSha256: string): boolean {
    return this.#expiresAtMs.has(certificateSha256)
  }

  add(certificateSha256: string, expiresAtMs: number): void {
    // What is forgotten is found again in the journals.
    if (this.#expiresAtMs.size >= MAX_KNOWN) this.#expiresAtMs.delete(this.#expiresAtMs.keys().next().value!)
    this.#expiresAtMs.set(certificateSha256, expiresAtMs)
  }

  /** Forgets what nobody can use any more. To be called now and then. */
  sweep(expiredBeforeMs: number): void {
    for (const [name, expiresAtMs] of this.#expiresAtMs)
      if (expiresAtMs < expiredBeforeMs) this.#expiresAtMs.delete(name)
  }

  /** The same journal, out of which certificates become known as soon as they are recorded. */
  learnFrom(journal: IssuanceJournal): IssuanceJournal {
    return {
      append: async (entry: JournalEntry) => {
        await journal.append(entry)
        if (entry.kind === 'issued') this.add(entry.certificateSha256, Date.parse(entry.notAfter))
      },
    }
  }
}
