import { checkOpenBounds, checkSealBounds } from './aead-bounds.ts'
import { NativeError } from './errors.ts'
import { EvpContext } from './evp-context.ts'
import { EVP_CTRL_AEAD_GET_TAG, EVP_CTRL_AEAD_SET_TAG, type EvpFunctions } from './evp-functions.ts'
import { FixedMemory, type Address } from './fixed-memory.ts'

const TAG_BYTES = 16
const MAX_KEY_BYTES = 32
const NONCE_BYTES = 12

/** A record's header has five bytes. What is longer is passed as it is. */
const MAX_LAID_BYTES = 64

/** OpenSSL's functions, and the memory for what they read and write besides text. */
export class AeadWorkbench {
  readonly functions: EvpFunctions
  readonly key: FixedMemory = new FixedMemory(MAX_KEY_BYTES)
  readonly nonce: FixedMemory = new FixedMemory(NONCE_BYTES)
  readonly additionalData: FixedMemory = new FixedMemory(MAX_LAID_BYTES)
  readonly tag: FixedMemory = new FixedMemory(TAG_BYTES)
  /** How much was written, as a C int; nobody looks. */
  readonly written: FixedMemory = new FixedMemory(Int32Array.BYTES_PER_ELEMENT)
  /** An AEAD's final step writes no text, but wants an address. */
  readonly nothing: FixedMemory = new FixedMemory(TAG_BYTES)

  constructor(functions: EvpFunctions) {
    this.functions = functions
  }
}

/** One direction's sealing key in an OpenSSL context that is keyed once and given a new nonce per record. */
export class EvpSealer implements Disposable {
  readonly #bench: AeadWorkbench
  readonly #context: EvpContext

  /** `key` must have the length that `cipher` demands. @throws NativeError NATIVE_FAILED */
  constructor(bench: AeadWorkbench, cipher: Address, key: Uint8Array) {
    const { functions: f, key: laid } = bench
    this.#bench = bench
    this.#context = new EvpContext('The AEAD context', f.newContext(), f.freeContext)
    laid.bytes.set(key)
    const isKeyed = f.encryptInit(this.#context.address, cipher, 0, laid.address, 0) === 1
    laid.bytes.fill(0)
    if (isKeyed) return
    this.#context.free()
    throw failure(f, 'EVP_EncryptInit_ex refused the key')
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
    const { functions: f, nonce: laid, written, nothing, tag } = this.#bench
    const context = this.#context.address
    const { length } = plaintext
    const trailerBytes = trailer?.length ?? 0
    laid.bytes.set(nonce)
    // An empty update is skipped: an empty array may have no address, and a null output means additional data.
    const sealed =
      f.encryptInit(context, 0, 0, 0, laid.address) === 1 &&
      authenticate(this.#bench, f.encryptUpdate, context, additionalData) &&
      (length === 0 || f.encryptUpdate(context, output, written.address, plaintext, length) === 1) &&
      (trailerBytes === 0 ||
        f.encryptUpdate(context, output.subarray(length), written.address, trailer!, trailerBytes) === 1) &&
      f.encryptFinal(context, nothing.address, written.address) === 1 &&
      f.control(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag.address) === 1
    if (!sealed) {
      output.fill(0, 0, length + trailerBytes)
      throw failure(f, 'EVP refused to seal')
    }
    for (let i = 0; i < TAG_BYTES; i++) output[length + trailerBytes + i] = tag.bytes[i]!
    return length + trailerBytes + TAG_BYTES
  }

  [Symbol.dispose](): void {
    this.#context.free()
  }
}

/** One direction's opening key in an OpenSSL context that is keyed once and given a new nonce per record. */
export class EvpOpener implements Disposable {
  readonly #bench: AeadWorkbench
  readonly #context: EvpContext

  /** `key` must have the length that `cipher` demands. @throws NativeError NATIVE_FAILED */
  constructor(bench: AeadWorkbench, cipher: Address, key: Uint8Array) {
    const { functions: f, key: laid } = bench
    this.#bench = bench
    this.#context = new EvpContext('The AEAD context', f.newContext(), f.freeContext)
    laid.bytes.set(key)
    const isKeyed = f.decryptInit(this.#context.address, cipher, 0, laid.address, 0) === 1
    laid.bytes.fill(0)
    if (isKeyed) return
    this.#context.free()
    throw failure(f, 'EVP_DecryptInit_ex refused the key')
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
    const { functions: f, nonce: laid, written, nothing, tag } = this.#bench
    laid.bytes.set(nonce)
    for (let i = 0; i < TAG_BYTES; i++) tag.bytes[i] = ciphertext[length + i]!
    const decrypted =
      f.decryptInit(context, 0, 0, 0, laid.address) === 1 &&
      authenticate(this.#bench, f.decryptUpdate, context, additionalData) &&
      (length === 0 || f.decryptUpdate(context, output, written.address, ciphertext, length) === 1) &&
      f.control(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag.address) === 1
    if (decrypted && f.decryptFinal(context, nothing.address, written.address) === 1) return length
    output.fill(0, 0, length)
    if (!decrypted) throw failure(f, 'EVP refused to open')
    f.clearErrors()
    return -1
  }

  [Symbol.dispose](): void {
    this.#context.free()
  }
}

function authenticate(
  { functions, additionalData: laid, written }: AeadWorkbench,
  update: EvpFunctions['encryptUpdate'],
  context: Address,
  additionalData: Uint8Array,
): boolean {
  const { length } = additionalData
  if (length === 0) return true
  if (length > MAX_LAID_BYTES) return update(context, null, written.address, additionalData, length) === 1
  laid.bytes.set(additionalData)
  return functions.authenticate(context, 0, written.address, laid.address, length) === 1
}

/** OpenSSL's error queue belongs to the thread; what is left there would be taken for a later call's error. */
function failure(functions: EvpFunctions, message: string): NativeError {
  functions.clearErrors()
  return new NativeError('NATIVE_FAILED', message)
}
