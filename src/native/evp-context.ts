import { NativeError } from './errors.ts'
import type { EvpFunctions, Pointer } from './evp-functions.ts'

/**
 * One EVP_CIPHER_CTX with its key: the owner of the only native memory there is. It is freed once, by
 * {@link free} or, when its owner forgot, by the garbage collector some time later; OpenSSL wipes the key then.
 */
export class EvpContext {
  readonly #functions: EvpFunctions
  #address: Pointer | undefined

  /** @throws NativeError NATIVE_FAILED when OpenSSL has no memory */
  constructor(functions: EvpFunctions) {
    const address = functions.newContext()
    if (address === null) throw new NativeError('NATIVE_FAILED', 'EVP_CIPHER_CTX_new has no memory')
    this.#functions = functions
    this.#address = address
    forgotten.register(this, { functions, address }, this)
  }

  /** @throws ReferenceError after {@link free} */
  get address(): Pointer {
    if (this.#address === undefined) throw new ReferenceError('The AEAD context was used after it was freed')
    return this.#address
  }

  /** Wipes the key and releases the memory. Idempotent. */
  free(): void {
    if (this.#address === undefined) return
    forgotten.unregister(this)
    this.#functions.freeContext(this.#address)
    this.#address = undefined
  }
}

/** The safety net. What it holds must not lead back to the context, or nothing would ever be collected. */
const forgotten = new FinalizationRegistry<{ functions: EvpFunctions; address: Pointer }>(
  ({ functions, address }) => functions.freeContext(address),
)
