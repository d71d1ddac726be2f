import type { CryptoProvider } from '../crypto/provider.ts'
import {
  type BundleDocument,
  decodeBundleDocument,
  encodeBundleDocument,
} from '../identity/bundle-document.ts'
import { sameBundle, type TrustBundle } from '../identity/trust-bundle.ts'
import type { BundleStore } from './federation-store.ts'

export interface PublishedBundleOptions {
  /** What is to be published now. */
  readonly bundle: () => TrustBundle
  /** How soon others shall look again, in seconds. */
  readonly refreshHintSeconds: number
  readonly store: BundleStore
  readonly crypto: CryptoProvider
}

/** Our own bundle as others are given it: another one has another, greater number, over restarts too. */
export class PublishedBundle {
  readonly #options: PublishedBundleOptions
  #published: BundleDocument | undefined
  /** One after the other, so that no number is given twice. */
  #numbering: Promise<unknown> = Promise.resolve()

  constructor(options: PublishedBundleOptions) {
    this.#options = options
  }

  /** The document, whose number is on the disk. @throws CaError CA_STORE_…, BundleError BUNDLE_MALFORMED */
  document(): Promise<string> {
    const numbered = this.#numbering.then(() => this.#number())
    this.#numbering = numbered.catch(() => {})
    return numbered
  }

  async #number(): Promise<string> {
    const { bundle: current, refreshHintSeconds, store } = this.#options
    const bundle = current()
    const last = this.#published ?? (await this.#load(bundle.trustDomain))
    const changed = last === undefined || !sameBundle(last.bundle, bundle)
    const document = {
      bundle,
      sequence: (last?.sequence ?? 0) + (changed ? 1 : 0),
      refreshHintSeconds,
    }
    const text = encodeBundleDocument(document)
    if (changed) await store.save(bundle.trustDomain, text)
    this.#published = document
    return text
  }

  async #load(trustDomain: string): Promise<BundleDocument | undefined> {
    const { store, crypto } = this.#options
    const text = await store.load(trustDomain)
    return text === undefined ? undefined : decodeBundleDocument(text, { trustDomain, crypto })
  }
}
