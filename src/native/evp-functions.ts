import type { LibraryHandle } from 'koffi'

/** The address of an object that OpenSSL owns. */
export type Pointer = bigint

/** The ctrl commands of an AEAD context (openssl/evp.h). */
export const EVP_CTRL_AEAD_GET_TAG = 0x10
export const EVP_CTRL_AEAD_SET_TAG = 0x11

/**
 * The functions of OpenSSL's EVP that an AEAD needs, as C declares them. Those that return a number return 1
 * for success. None of them checks a length against the memory behind it: their callers must.
 *
 * A byte array that is passed keeps its address during the call: asking for the address moves its bytes out of
 * V8's moving heap for good, and the call is synchronous, so the argument stays referenced until it returns.
 */
export interface EvpFunctions {
  readonly fetchCipher: (libraryContext: null, name: string, properties: null) => Pointer | null
  readonly newContext: () => Pointer | null
  readonly freeContext: (context: Pointer) => void
  readonly encryptInit: InitFunction
  readonly encryptUpdate: UpdateFunction
  readonly encryptFinal: FinalFunction
  readonly decryptInit: InitFunction
  readonly decryptUpdate: UpdateFunction
  readonly decryptFinal: FinalFunction
  readonly control: (context: Pointer, command: number, length: number, bytes: Uint8Array) => number
  readonly clearErrors: () => void
}

type InitFunction = (
  context: Pointer,
  cipher: Pointer | null,
  engine: null,
  key: Uint8Array | null,
  nonce: Uint8Array | null,
) => number

type UpdateFunction = (
  context: Pointer,
  output: Uint8Array | null,
  written: Int32Array,
  input: Uint8Array,
  inputLength: number,
) => number

type FinalFunction = (context: Pointer, output: Uint8Array, written: Int32Array) => number

/**
 * Binds the functions of `library`. Lengths are `int` throughout, so that no call converts a BigInt.
 *
 * @throws Error naming the first symbol that the library lacks
 */
export function bindEvpFunctions(library: LibraryHandle): EvpFunctions {
  const init = '(void* ctx, const void* cipher, void* engine, const uint8_t* key, const uint8_t* iv)'
  const update = '(void* ctx, uint8_t* out, int* outl, const uint8_t* in, int inl)'
  const final = '(void* ctx, uint8_t* out, int* outl)'
  return {
    fetchCipher: library.func('void* EVP_CIPHER_fetch(void* libctx, const char* name, const char* props)'),
    newContext: library.func('void* EVP_CIPHER_CTX_new()'),
    freeContext: library.func('void EVP_CIPHER_CTX_free(void* ctx)'),
    encryptInit: library.func(`int EVP_EncryptInit_ex${init}`),
    encryptUpdate: library.func(`int EVP_EncryptUpdate${update}`),
    encryptFinal: library.func(`int EVP_EncryptFinal_ex${final}`),
    decryptInit: library.func(`int EVP_DecryptInit_ex${init}`),
    decryptUpdate: library.func(`int EVP_DecryptUpdate${update}`),
    decryptFinal: library.func(`int EVP_DecryptFinal_ex${final}`),
    control: library.func('int EVP_CIPHER_CTX_ctrl(void* ctx, int type, int arg, uint8_t* ptr)'),
    clearErrors: library.func('void ERR_clear_error()'),
  }
}
