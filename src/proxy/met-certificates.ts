import type { Certificate } from '../pki/certificate.ts'
import type { VerifiedPeer } from '../pki/verifier.ts'

/** DER, from the leaf up, without the anchor. */
export type MetChain = readonly Uint8Array[]

/** Messages between threads cost more than bytes. */
const FLUSH_MS = 1_000

/** In a burst of strangers the first are enough: the others come again. */
const MAX_WAITING = 64

/** The certificates that a thread has verified in handshakes, on their way to the main thread: each once, in batches. */
export class MetCertificates {
  readonly #send: (chains: readonly MetChain[]) => void
  readonly #seen = new WeakSet<Certificate>()
  #waiting: MetChain[] = []

  constructor(send: (chains: readonly MetChain[]) => void) {
    this.#send = send
  }

  /** @param peer as a handshake has proven it */
  add(peer: VerifiedPeer | undefined): void {
    const [leaf, ...above] = peer?.path ?? []
    if (leaf === undefined || this.#seen.has(leaf) || this.#waiting.length >= MAX_WAITING) return
    this.#seen.add(leaf)
    // A clone of a view would carry all the memory that it is a view of.
    this.#waiting.push([leaf, ...above.slice(0, -1)].map(({ der }) => Uint8Array.from(der)))
    if (this.#waiting.length === 1) setTimeout(() => this.#flush(), FLUSH_MS).unref()
  }

  #flush(): void {
    const chains = this.#waiting
    this.#waiting = []
    this.#send(chains)
  }
}
