import type { BundleStore } from '../ca/federation-store.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import {
  type BundleDocument,
  decodeBundleDocument,
  encodeBundleDocument,
} from '../identity/bundle-document.ts'
import { BundleError } from '../identity/errors.ts'
import { sameBundle, type TrustBundle } from '../identity/trust-bundle.ts'
import { Backoff } from './backoff.ts'
import type { Timers } from './timers.ts'

/** What a federated trust domain tells the log. */
export type FederationEvent =
  /** `bundle` is undefined when the trust domain vouches for nobody any more. */
  | {
      readonly kind: 'changed'
      readonly bundle: TrustBundle | undefined
      readonly sequence: number | undefined
    }
  /** What was good last stays in force. */
  | { readonly kind: 'failed'; readonly error: unknown; readonly retryInMs: number }

export interface FederatedDomainOptions {
  readonly trustDomain: string
  /** The bundle document as it is published now. */
  readonly load: () => Promise<string>
  /** A document to begin with, where none is stored. @default none */
  readonly first?: () => Promise<string>
  /** How often to look. @default as the publisher hints, or else every 5 minutes */
  readonly refreshMs?: number
  readonly store: BundleStore
  readonly crypto: CryptoProvider
  readonly timers: Timers
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Called after the bundle has changed. */
  readonly onChange: () => void
  readonly onEvent: (event: FederationEvent) => void
}

/** SPIFFE Federation §5.2.2: without a hint. */
const DEFAULT_REFRESH_MS = 300_000

/** Whatever a publisher hints: it is neither asked all the time nor forgotten. */
const MIN_REFRESH_MS = 1_000
const MAX_REFRESH_MS = 86_400_000

/** The bundle of another trust domain, kept at its newest. What was good last is good until there is something newer. */
export class FederatedDomain implements Disposable {
  readonly #options: FederatedDomainOptions
  readonly #backoff: Backoff
  #document: BundleDocument | undefined
  #cancelTimer = (): void => {}
  #disposed = false

  constructor(options: FederatedDomainOptions) {
    this.#options = options
    this.#backoff = new Backoff({ random: options.random })
  }

  /** Undefined before there is one, and when the trust domain vouches for nobody. */
  get bundle(): TrustBundle | undefined {
    return this.#document?.bundle
  }

  /** Takes up what is stored, and goes on to look for what is newer. What fails is told by events. */
  async start(): Promise<void> {
    try {
      await this.#takeUp()
    } catch (error) {
      this.#failed(error)
      return
    }
    void this.#refresh()
  }

  /** Looks no more; what is stored stays. */
  [Symbol.dispose](): void {
    this.#disposed = true
    this.#cancelTimer()
  }

  async #takeUp(): Promise<void> {
    const { store, trustDomain, first, onChange } = this.#options
    const text = (await store.load(trustDomain)) ?? (await first?.())
    if (text === undefined || this.#disposed) return
    this.#document = this.#decode(text)
    onChange()
  }

  async #refresh(): Promise<void> {
    const { load, onChange, onEvent } = this.#options
    try {
      const document = this.#decode(await load())
      if (this.#disposed) return
      const changed = await this.#adopt(document)
      this.#backoff.reset()
      this.#lookAgain(this.#refreshMs())
      if (!changed) return
      onEvent({ kind: 'changed', bundle: document.bundle, sequence: document.sequence })
      onChange()
    } catch (error) {
      this.#failed(error)
    }
  }

  #failed(error: unknown): void {
    if (this.#disposed) return
    const retryInMs = Math.min(this.#backoff.next(), this.#refreshMs())
    this.#lookAgain(retryInMs)
    this.#options.onEvent({ kind: 'failed', error, retryInMs })
  }

  /** What was stored first is what is used then. @returns whether the bundle is another one */
  async #adopt(document: BundleDocument): Promise<boolean> {
    const { store, trustDomain } = this.#options
    const held = this.#document
    // Trust Domain and Bundle §4.1.1: it grows. An older one comes from a cache, or from somebody who replays it.
    if (held?.sequence !== undefined && document.sequence !== undefined && document.sequence < held.sequence)
      throw new BundleError(
        'BUNDLE_STALE',
        `The bundle of ${trustDomain} has the sequence number ${document.sequence}, and ${held.sequence} was there already`,
      )
    const text = encodeBundleDocument(document)
    if (held !== undefined && encodeBundleDocument(held) === text) return false
    await store.save(trustDomain, text)
    this.#document = document
    return held === undefined || !sameBundle(held.bundle, document.bundle)
  }

  #decode(text: string): BundleDocument {
    const { trustDomain, crypto } = this.#options
    return decodeBundleDocument(text, { trustDomain, crypto })
  }

  #refreshMs(): number {
    const hintMs = (this.#document?.refreshHintSeconds ?? DEFAULT_REFRESH_MS / 1000) * 1000
    return this.#options.refreshMs ?? Math.min(Math.max(hintMs, MIN_REFRESH_MS), MAX_REFRESH_MS)
  }

  #lookAgain(delayMs: number): void {
    if (this.#disposed) return
    this.#cancelTimer()
    this.#cancelTimer = this.#options.timers.after(delayMs, () => void this.#refresh())
  }
}
