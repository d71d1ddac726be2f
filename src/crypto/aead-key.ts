import { AEAD_KEY_BYTES, type AeadName } from './provider.ts'

/** A private copy of an AEAD key that is wiped when its owner is disposed of. */
export class OwnedAeadKey {
  #bytes: Uint8Array | undefined

  /** @throws RangeError for a key of the wrong length */
  constructor(aead: AeadName, key: Uint8Array) {
    const expected = AEAD_KEY_BYTES[aead]
    if (key.length !== expected)
      throw new RangeError(`The key for ${aead} has ${key.length} bytes, expected ${expected}`)
    this.#bytes = Uint8Array.from(key)
  }

  /** @throws ReferenceError after {@link wipe} */
  get bytes(): Uint8Array {
    if (this.#bytes === undefined) throw new ReferenceError('The AEAD context was used after it was freed')
    return this.#bytes
  }

  /** Idempotent. */
  wipe(): void {
    this.#bytes?.fill(0)
    this.#bytes = undefined
  }
}
