import { NativeError } from './errors.ts'
import type { Address } from './fixed-memory.ts'

/** Gives an object of OpenSSL back; it wipes what secrets the object holds. */
export type FreeFunction = (address: Address) => void

/**
 * The owner of one context or key of OpenSSL's, the only kinds of native memory there are. It is freed once, by {@link free} or,
 * when its owner forgot, by the garbage collector some time later.
 */
export class EvpContext implements Disposable {
  readonly #what: string
  readonly #free: FreeFunction
  /** 0 once it is freed. */
  #address: Address

  /**
   * @param what begins messages, such as "The AEAD context"
   * @param address fresh from OpenSSL; 0 when it has no memory
   * @throws NativeError NATIVE_FAILED when OpenSSL has no memory
   */
  constructor(what: string, address: Address, free: FreeFunction) {
    if (address === 0) throw new NativeError('NATIVE_FAILED', `${what} finds no memory`)
    this.#what = what
    this.#free = free
    this.#address = address
    forgotten.register(this, { free, address }, this)
  }

  /** @throws ReferenceError after {@link free} */
  get address(): Address {
    if (this.#address === 0) throw new ReferenceError(`${this.#what} was used after it was freed`)
    return this.#address
  }

  /** Wipes the secrets and releases the memory. Idempotent. */
  free(): void {
    if (this.#address === 0) return
    forgotten.unregister(this)
    this.#free(this.#address)
    this.#address = 0
  }

  [Symbol.dispose](): void {
    this.free()
  }
}

/** The safety net. What it holds must not lead back to the context, or nothing would ever be collected. */
const forgotten = new FinalizationRegistry<{ free: FreeFunction; address: Address }>(({ free, address }) =>
  free(address),
)
