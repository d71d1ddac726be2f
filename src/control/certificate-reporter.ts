import type { CryptoProvider } from '../crypto/provider.ts'
import type { CertificateReport } from './client.ts'
import type { Timers } from './timers.ts'

/** Soon enough for an alarm, late enough for a handful of handshakes to share a call. */
const REPORT_MS = 5_000

/** A controller that did not take a report is asked again after this. */
const RETRY_MS = 30_000

/** A proxy meets dozens of peers, a busy one hundreds, each with a new certificate every half hour. */
const MAX_REMEMBERED = 4_096

/** What waits for a controller that is away; what comes beyond is left out. */
const MAX_WAITING = 512

/** A call has room for 64 KiB; an SVID has 600 bytes, and at most 10 KB. */
const MAX_REPORT_BYTES = 32 * 1024
const MAX_REPORT_CERTIFICATES = 64

export interface CertificateReporterOptions {
  readonly send: (report: CertificateReport) => Promise<void>
  readonly crypto: CryptoProvider
  readonly timers: Timers
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Told of reports that did not arrive; they are tried again. */
  readonly onFailure?: (error: unknown) => void
}

/** Tells the controller which certificates the proxy meets, each once, so that one that nobody issued is found out. */
export class CertificateReporter implements Disposable {
  readonly #options: CertificateReporterOptions
  /** Oldest first. */
  readonly #known = new Set<string>()
  #waiting: (readonly Uint8Array[])[] = []
  #cancelTimer: (() => void) | undefined
  #disposed = false

  constructor(options: CertificateReporterOptions) {
    this.#options = options
  }

  /** @param chains each from the leaf up, without the anchor; DER */
  add(chains: readonly (readonly Uint8Array[])[]): void {
    for (const chain of chains) {
      const [leaf] = chain
      if (leaf === undefined || this.#waiting.length >= MAX_WAITING || !this.#isNew(leaf)) continue
      this.#waiting.push(chain)
    }
    if (this.#waiting.length > 0) this.#schedule(REPORT_MS)
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#cancelTimer?.()
  }

  #isNew(leaf: Uint8Array): boolean {
    const name = this.#options.crypto.digest('sha256', leaf).toHex()
    if (this.#known.has(name)) return false
    this.#known.add(name)
    if (this.#known.size > MAX_REMEMBERED) this.#known.delete(this.#known.values().next().value!)
    return true
  }

  #schedule(delayMs: number): void {
    if (this.#disposed || this.#cancelTimer !== undefined) return
    const { timers, random } = this.#options
    this.#cancelTimer = timers.after(delayMs * (0.5 + random() / 2), () => void this.#report())
  }

  async #report(): Promise<void> {
    const batch = this.#nextBatch()
    const issuers = new Map(batch.flatMap(([, ...above]) => above.map((der) => [der.toHex(), der] as const)))
    try {
      await this.#options.send({
        certificates: batch.map(([leaf]) => leaf!),
        issuers: [...issuers.values()],
      })
      this.#waiting = this.#waiting.slice(batch.length)
      this.#cancelTimer = undefined
      if (this.#waiting.length > 0) this.#schedule(REPORT_MS)
    } catch (error) {
      this.#cancelTimer = undefined
      this.#schedule(RETRY_MS)
      this.#options.onFailure?.(error)
    }
  }

  /** At least one. */
  #nextBatch(): readonly (readonly Uint8Array[])[] {
    let bytes = 0
    const end = this.#waiting.slice(0, MAX_REPORT_CERTIFICATES).findIndex(([leaf], index) => {
      bytes += leaf!.length
      return index > 0 && bytes > MAX_REPORT_BYTES
    })
    return this.#waiting.slice(0, end === -1 ? MAX_REPORT_CERTIFICATES : end)
  }
}
