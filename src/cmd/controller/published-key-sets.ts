import { keySetName } from '../../config/request-authentication-config.ts'
import type { KeySetSource } from '../../config/token-fields.ts'
import { parseJwks } from '../../crypto/jws.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { FILE_REFRESH_MS } from './load-key-set.ts'

/** Issuers publish new keys well before they sign with them. */
const URL_REFRESH_MS = 5 * 60 * 1000

/** After a failure: an issuer that is back is noticed soon, and one that is away is not pressed. */
const RETRY_MS = 15_000

/** A set that is larger than this is none that a mesh hands to every proxy. */
const MAX_KEY_SET_CHARACTERS = 64 * 1024

export interface PublishedKeySetsOptions {
  readonly crypto: CryptoProvider
  /** The text of a key set. @throws Error saying what stood in the way */
  readonly load: (source: KeySetSource) => Promise<string>
  /** Called when what {@link PublishedKeySets.current} gives has changed. */
  readonly onChange: () => void
  /** The last good set stays, if there was one. */
  readonly onFailure: (
    source: string,
    failure: { readonly error: unknown; readonly hasKeys: boolean },
  ) => void
}

/**
 * The key sets that the mesh's issuers publish: fetched here once for all proxies, and again and again. What was had last stays
 * until something better comes: an issuer's outage is not ours.
 */
export class PublishedKeySets implements Disposable {
  readonly #options: PublishedKeySetsOptions
  readonly #followed = new Map<string, Followed>()
  #disposed = false

  constructor(options: PublishedKeySetsOptions) {
    this.#options = options
  }

  /** What is there, by the names of keySetName. */
  get current(): ReadonlyMap<string, string> {
    return new Map(
      [...this.#followed].flatMap(([name, { text }]) => (text === undefined ? [] : [[name, text] as const])),
    )
  }

  /**
   * Follows exactly these from now on.
   *
   * @returns when each of the new ones was tried once
   */
  async follow(sources: readonly KeySetSource[]): Promise<void> {
    const wanted = new Map(sources.map((source) => [keySetName(source), source]))
    for (const [name, followed] of this.#followed) {
      if (wanted.has(name)) continue
      clearTimeout(followed.timer)
      this.#followed.delete(name)
    }
    const added = [...wanted].filter(([name]) => !this.#followed.has(name))
    for (const [name, source] of added)
      this.#followed.set(name, { source, text: undefined, timer: undefined })
    await Promise.all(added.map(([name]) => this.#refresh(name)))
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    for (const { timer } of this.#followed.values()) clearTimeout(timer)
  }

  async #refresh(name: string): Promise<void> {
    const followed = this.#followed.get(name)
    if (followed === undefined || this.#disposed) return
    const { source } = followed
    let nextMs = source.kind === 'file' ? FILE_REFRESH_MS : URL_REFRESH_MS
    try {
      const text = await this.#load(source)
      if (this.#followed.get(name) !== followed || this.#disposed) return
      const isNew = text !== followed.text
      followed.text = text
      if (isNew) this.#options.onChange()
    } catch (error) {
      if (this.#followed.get(name) !== followed || this.#disposed) return
      nextMs = Math.min(nextMs, RETRY_MS)
      this.#options.onFailure(name, { error, hasKeys: followed.text !== undefined })
    }
    followed.timer = setTimeout(() => void this.#refresh(name), nextMs).unref()
  }

  /** Found good before any proxy gets it: one bad set would make proxies refuse all that came with it. */
  async #load(source: KeySetSource): Promise<string> {
    const text = await this.#options.load(source)
    if (text.length > MAX_KEY_SET_CHARACTERS)
      throw new Error(`The key set has ${text.length} characters, expected at most ${MAX_KEY_SET_CHARACTERS}`)
    parseJwks(text, this.#options.crypto)
    return text
  }
}

interface Followed {
  readonly source: KeySetSource
  text: string | undefined
  timer: NodeJS.Timeout | undefined
}
