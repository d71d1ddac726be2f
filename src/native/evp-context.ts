import { NativeError } from './errors.ts'
import type { Pointer } from './evp-functions.ts'

/** Gives an object of OpenSSL back; it wipes what secrets the object holds. */
export type FreeFunction = (address: Pointer) => void

/**
 * The owner of one context of OpenSSL's, the only kind of native memory there is. It is freed once, by {@link free} or,
 * when its owner forgot, by the garbage collector some time later.
 */
export class EvpContext {
  readonly #what: string
  readonly #free: FreeFunction
  #address: Pointer | undefined

  /**
   * @param what begins messages, such as "The AEAD context"
   * @param address fresh from OpenSSL; null when it has no memory
   * @throws NativeError NATIVE_FAILED when OpenSSL has no memory
   */
  constructor(what: string, address: Pointer | null, free: FreeFunction) {
    if (address === null) throw new NativeError('NATIVE_FAILED', `${what} finds no memory`)
    this.#what = what
    this.#free = free
    this.#address = address
    forgotten.register(this, { free, address }, this)
  }

  /** @throws ReferenceError after {@link free} */
  get address(): Pointer {
    if (this.#address === undefined) throw new ReferenceError(`${this.#what} was used after it was freed`)
    return this.#address
  }

  /** Wipes the secrets and releases the memory. Idempotent. */
  free(): void {
    if (this.#address === undefined) return
    forgotten.unregister(this)
    this.#free(this.#address)
    this.#address = undefined
  }
}

/** The safety net. What it holds must not lead back to the context, or nothing would ever be collected. */
const forgotten = new FinalizationRegistry<{ free: FreeFunction; address: Pointer }>(({ free, address }) =>
  free(address),
)
