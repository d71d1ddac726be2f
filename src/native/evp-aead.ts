import { checkOpenBounds, checkSealBounds } from './aead-bounds.ts'
import { NativeError } from './errors.ts'
import { EvpContext } from './evp-context.ts'
import {
  EVP_CTRL_AEAD_GET_TAG,
  EVP_CTRL_AEAD_SET_TAG,
  type EvpFunctions,
  type Pointer,
} from './evp-functions.ts'

const TAG_BYTES = 16

/** What an AEAD's functions write besides text. One thread runs one call at a time, so all contexts share them. */
const written = new Int32Array(1)
const tag = new Uint8Array(TAG_BYTES)
/** An AEAD's final step writes no text, but wants an address. */
const nothing = new Uint8Array(TAG_BYTES)

/** One direction's sealing key in an OpenSSL context that is keyed once and given a new nonce per record. */
export class EvpSealer implements Disposable {
  readonly #functions: EvpFunctions
  readonly #context: EvpContext

  /** `key` must have the length that `cipher` demands. @throws NativeError NATIVE_FAILED */
  constructor(functions: EvpFunctions, cipher: Pointer, key: Uint8Array) {
    this.#functions = functions
    this.#context = new EvpContext('The AEAD context', functions.newContext(), functions.freeContext)
    if (functions.encryptInit(this.#context.address, cipher, null, key, null) === 1) return
    this.#context.free()
    throw failure(functions, 'EVP_EncryptInit_ex refused the key')
  }

  /**
   * Encrypts `plaintext` and then `trailer` into `output`, appends the 16-byte tag and returns the bytes written.
   * Without a trailer, `output` may begin where `plaintext` does.
   *
   * @throws RangeError before anything is written, when a length does not fit
   * @throws ReferenceError after disposal
   * @throws NativeError NATIVE_FAILED, with `output` wiped
   */
  seal(
    nonce: Uint8Array,
    additionalData: Uint8Array,
    plaintext: Uint8Array,
    output: Uint8Array,
    trailer?: Uint8Array,
  ): number {
    checkSealBounds(nonce, additionalData, plaintext, output, trailer)
    const f = this.#functions
    const context = this.#context.address
    const { length } = plaintext
    const trailerBytes = trailer?.length ?? 0
    // An empty update is skipped: an empty array may have no address, and a null output means additional data.
    const sealed =
      f.encryptInit(context, null, null, null, nonce) === 1 &&
      (additionalData.length === 0 ||
        f.encryptUpdate(context, null, written, additionalData, additionalData.length) === 1) &&
      (length === 0 || f.encryptUpdate(context, output, written, plaintext, length) === 1) &&
      (trailerBytes === 0 ||
        f.encryptUpdate(context, output.subarray(length), written, trailer!, trailerBytes) === 1) &&
      f.encryptFinal(context, nothing, written) === 1 &&
      f.control(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) === 1
    if (!sealed) {
      output.fill(0, 0, length + trailerBytes)
      throw failure(f, 'EVP refused to seal')
    }
    output.set(tag, length + trailerBytes)
    return length + trailerBytes + TAG_BYTES
  }

  [Symbol.dispose](): void {
    this.#context.free()
  }
}

/** One direction's opening key in an OpenSSL context that is keyed once and given a new nonce per record. */
export class EvpOpener implements Disposable {
  readonly #functions: EvpFunctions
  readonly #context: EvpContext

  /** `key` must have the length that `cipher` demands. @throws NativeError NATIVE_FAILED */
  constructor(functions: EvpFunctions, cipher: Pointer, key: Uint8Array) {
    this.#functions = functions
    this.#context = new EvpContext('The AEAD context', functions.newContext(), functions.freeContext)
    if (functions.decryptInit(this.#context.address, cipher, null, key, null) === 1) return
    this.#context.free()
    throw failure(functions, 'EVP_DecryptInit_ex refused the key')
  }

  /**
   * Decrypts `ciphertext`, whose last 16 bytes are the tag, into `output` and returns the bytes written, or -1 when
   * it is not authentic; then what was written of `output` is wiped. `output` may begin where `ciphertext` does.
   *
   * @throws RangeError before anything is written, when a length does not fit
   * @throws ReferenceError after disposal
   * @throws NativeError NATIVE_FAILED, with `output` wiped
   */
  open(nonce: Uint8Array, additionalData: Uint8Array, ciphertext: Uint8Array, output: Uint8Array): number {
    const context = this.#context.address
    const length = ciphertext.length - TAG_BYTES
    if (length < 0) return -1
    checkOpenBounds(nonce, additionalData, ciphertext, output)
    const f = this.#functions
    for (let i = 0; i < TAG_BYTES; i++) tag[i] = ciphertext[length + i]!
    const decrypted =
      f.decryptInit(context, null, null, null, nonce) === 1 &&
      (additionalData.length === 0 ||
        f.decryptUpdate(context, null, written, additionalData, additionalData.length) === 1) &&
      (length === 0 || f.decryptUpdate(context, output, written, ciphertext, length) === 1) &&
      f.control(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) === 1
    if (decrypted && f.decryptFinal(context, nothing, written) === 1) return length
    output.fill(0, 0, length)
    if (!decrypted) throw failure(f, 'EVP refused to open')
    f.clearErrors()
    return -1
  }

  [Symbol.dispose](): void {
    this.#context.free()
  }
}

/** OpenSSL's error queue belongs to the thread; what is left there would be taken for a later call's error. */
function failure(functions: EvpFunctions, message: string): NativeError {
  functions.clearErrors()
  return new NativeError('NATIVE_FAILED', message)
}
