import { AEAD_KEY_BYTES, type AeadName } from './provider.ts'

/** One direction of an AEAD that holds a private copy of its key, and wipes it when it is disposed of. */
export class KeyedAead implements Disposable {
  protected readonly aead: AeadName
  #key: Uint8Array | undefined

  /** @throws RangeError for a key of the wrong length */
  constructor(aead: AeadName, key: Uint8Array) {
    const expected = AEAD_KEY_BYTES[aead]
    if (key.length !== expected)
      throw new RangeError(`The key for ${aead} has ${key.length} bytes, expected ${expected}`)
    this.aead = aead
    this.#key = Uint8Array.from(key)
  }

  /** @throws ReferenceError after disposal */
  protected get key(): Uint8Array {
    if (this.#key === undefined) throw new ReferenceError('The AEAD context was used after it was freed')
    return this.#key
  }

  /** Wipes the key. Idempotent. */
  [Symbol.dispose](): void {
    this.#key?.fill(0)
    this.#key = undefined
  }
}
