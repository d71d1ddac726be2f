import type { CryptoProvider, PrivateKey } from '../crypto/provider.ts'
import { messageOf } from '../errors.ts'
import type { JwtAuthority } from '../identity/trust-bundle.ts'
import { CaError } from './errors.ts'
import type { CaStore } from './store.ts'

/** A key that signs, or will, or has signed. */
interface JwtKey {
  readonly keyId: string
  readonly key: PrivateKey
  /** When it begins to sign; the one before stops then. In milliseconds since the Unix epoch. */
  readonly signsFromMs: number
}

export interface JwtAuthoritiesOptions {
  readonly store: Pick<CaStore, 'loadJwtKeys' | 'saveJwtKeys'>
  readonly crypto: CryptoProvider
  /** The longest that a token lives. */
  readonly ttlMs: number
  /** How long a new key is published before it signs, if for more than an hour. @default 1 hour */
  readonly publishMs?: number | undefined
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Proxies know a new key within seconds of it; programs that fetch bundles now and then do by then. */
const MIN_PUBLISH_MS = HOUR_MS

/** A key signs for a month: in whoever's hands it is by then, it is worth nothing soon. */
const SIGNING_MS = 30 * DAY_MS

/** Whoever has a token has the time to show it to somebody whose clock is late. */
const GRACE_MS = HOUR_MS

/** As long as the key's own hash has letters that tell it from every other. */
const KEY_ID_CHARACTERS = 32

/**
 * The keys that sign JWT-SVIDs. They replace themselves: a new one is published for a while before it signs, an old one
 * until the last token that it has signed is over.
 */
export class JwtAuthorities {
  readonly #options: JwtAuthoritiesOptions
  readonly #publishMs: number
  /** By when they begin to sign. */
  #keys: readonly JwtKey[] = []
  /** What a follower has read last. */
  #record: string | undefined

  private constructor(options: JwtAuthoritiesOptions) {
    this.#options = options
    this.#publishMs = Math.max(options.publishMs ?? 0, MIN_PUBLISH_MS)
  }

  /** Loads what is stored; on the first start makes a key. @throws CaError CA_STORE_… */
  static async open(
    options: JwtAuthoritiesOptions,
    context: { readonly nowMs: number },
  ): Promise<JwtAuthorities> {
    const authorities = new JwtAuthorities(options)
    await authorities.maintain(context.nowMs)
    return authorities
  }

  /** Loads what a leader has stored; undefined when there is nothing yet. @throws CaError CA_STORE_… */
  static async follow(options: JwtAuthoritiesOptions): Promise<JwtAuthorities | undefined> {
    const authorities = new JwtAuthorities(options)
    await authorities.refresh()
    return authorities.#keys.length === 0 ? undefined : authorities
  }

  /** Takes over what a leader has stored meanwhile. @throws CaError CA_STORE_… */
  async refresh(): Promise<void> {
    const record = await this.#options.store.loadJwtKeys()
    if (record === undefined || record === this.#record) return
    this.#keys = this.#decode(record)
    this.#record = record
  }

  /** What tokens are verified with, also those that are signed next. */
  get published(): readonly JwtAuthority[] {
    return this.#keys.map(({ keyId, key }) => ({ keyId, spki: key.publicKey.spki }))
  }

  /** The key that signs now. */
  signer(nowMs: number): { readonly keyId: string; readonly key: PrivateKey } {
    return this.#keys.findLast(({ signsFromMs }) => signsFromMs <= nowMs) ?? this.#keys[0]!
  }

  /** Makes the next key when it is time, and forgets those that nobody needs. To be called now and then. @throws CaError CA_STORE_… */
  async maintain(nowMs: number): Promise<void> {
    const { store } = this.#options
    const record = await store.loadJwtKeys()
    const keys = record === undefined ? [] : this.#decode(record)
    const kept = withoutRetired(keys, nowMs - this.#options.ttlMs - GRACE_MS)
    const next = this.#next(keys, nowMs)
    const maintained = next === undefined ? kept : [...kept, next]
    if (next !== undefined || kept.length < keys.length) await store.saveJwtKeys(encode(maintained))
    this.#keys = maintained
  }

  /** Undefined as long as the newest key signs for long enough. */
  #next(keys: readonly JwtKey[], nowMs: number): JwtKey | undefined {
    const newest = keys.at(-1)
    // The first one has nobody before it who could sign meanwhile.
    if (newest === undefined) return this.#make(nowMs)
    const isDue = nowMs >= newest.signsFromMs + SIGNING_MS - this.#publishMs
    return isDue ? this.#make(nowMs + this.#publishMs) : undefined
  }

  #make(signsFromMs: number): JwtKey {
    const { crypto } = this.#options
    const key = crypto.generateKey('ec-p256')
    const keyId = crypto.digest('sha256', key.publicKey.spki).toHex().slice(0, KEY_ID_CHARACTERS)
    return { keyId, key, signsFromMs }
  }

  #decode(record: string): JwtKey[] {
    try {
      const { keys } = JSON.parse(record) as { readonly keys: readonly StoredKey[] }
      if (keys.length === 0) throw new RangeError('there is none')
      return keys.map(({ keyId, signsFrom, privateKey }) => {
        const signsFromMs = Date.parse(signsFrom)
        if (typeof keyId !== 'string' || Number.isNaN(signsFromMs))
          throw new TypeError('one has no name or time')
        return {
          keyId,
          signsFromMs,
          key: this.#options.crypto.importPrivateKey(Uint8Array.fromBase64(privateKey)),
        }
      })
    } catch (error) {
      throw new CaError(
        'CA_STORE_CORRUPT',
        `The stored keys for JWT-SVIDs cannot be read: ${messageOf(error)}; restore them from a backup, or delete them to begin with a new one`,
        { cause: error },
      )
    }
  }
}

interface StoredKey {
  readonly keyId: string
  /** RFC 3339, UTC. */
  readonly signsFrom: string
  /** PKCS#8, base64. */
  readonly privateKey: string
}

function encode(keys: readonly JwtKey[]): string {
  const stored = keys.map(({ keyId, key, signsFromMs }): StoredKey => ({
    keyId,
    signsFrom: new Date(signsFromMs).toISOString(),
    privateKey: key.exportPkcs8().toBase64(),
  }))
  return `${JSON.stringify({ keys: stored }, undefined, 2)}\n`
}

/** Without the keys whose successors sign since before `beforeMs`. */
function withoutRetired(keys: readonly JwtKey[], beforeMs: number): readonly JwtKey[] {
  return keys.filter((_key, place) => {
    const successor = keys[place + 1]
    return successor === undefined || successor.signsFromMs > beforeMs
  })
}
