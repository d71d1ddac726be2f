import type { LibraryHandle } from 'koffi'

import type { Address } from './fixed-memory.ts'

/** The ctrl commands of an AEAD context (openssl/evp.h). */
export const EVP_CTRL_AEAD_GET_TAG = 0x10
export const EVP_CTRL_AEAD_SET_TAG = 0x11

/**
 * The functions of OpenSSL's EVP that an AEAD needs, as C declares them. Those that return a number return 1
 * for success. None of them checks a length against the memory behind it: their callers must.
 *
 * What is short is passed by the address of fixed memory. A byte array that is passed keeps its address during the call:
 * asking for the address moves its bytes out of V8's moving heap for good, and the call is synchronous, so the argument
 * stays referenced until it returns.
 */
export interface EvpFunctions {
  readonly fetchCipher: (libraryContext: null, name: string, properties: null) => Address
  readonly newContext: () => Address
  readonly freeContext: (context: Address) => void
  readonly encryptInit: InitFunction
  readonly encryptUpdate: UpdateFunction
  readonly encryptFinal: FinalFunction
  readonly decryptInit: InitFunction
  readonly decryptUpdate: UpdateFunction
  readonly decryptFinal: FinalFunction
  /** Takes additional data from fixed memory. */
  readonly authenticate: (
    context: Address,
    output: 0,
    written: Address,
    input: Address,
    inputLength: number,
  ) => number
  readonly control: (context: Address, command: number, length: number, bytes: Address) => number
  readonly clearErrors: () => void
}

type InitFunction = (context: Address, cipher: Address, engine: 0, key: Address, nonce: Address) => number

type UpdateFunction = (
  context: Address,
  /** Null for additional data. */
  output: Uint8Array | null,
  written: Address,
  input: Uint8Array,
  inputLength: number,
) => number

type FinalFunction = (context: Address, output: Address, written: Address) => number

/**
 * Binds the functions of `library`. Lengths are `int` and addresses numbers, so that no call converts a BigInt.
 *
 * @throws Error naming the first symbol that the library lacks
 */
export function bindEvpFunctions(library: LibraryHandle): EvpFunctions {
  const init = '(uintptr_t ctx, uintptr_t cipher, uintptr_t engine, uintptr_t key, uintptr_t iv)'
  const update = '(uintptr_t ctx, uint8_t* out, uintptr_t outl, const uint8_t* in, int inl)'
  const final = '(uintptr_t ctx, uintptr_t out, uintptr_t outl)'
  return {
    fetchCipher: library.func(
      'uintptr_t EVP_CIPHER_fetch(void* libctx, const char* name, const char* props)',
    ),
    newContext: library.func('uintptr_t EVP_CIPHER_CTX_new()'),
    freeContext: library.func('void EVP_CIPHER_CTX_free(uintptr_t ctx)'),
    encryptInit: library.func(`int EVP_EncryptInit_ex${init}`),
    encryptUpdate: library.func(`int EVP_EncryptUpdate${update}`),
    encryptFinal: library.func(`int EVP_EncryptFinal_ex${final}`),
    decryptInit: library.func(`int EVP_DecryptInit_ex${init}`),
    decryptUpdate: library.func(`int EVP_DecryptUpdate${update}`),
    decryptFinal: library.func(`int EVP_DecryptFinal_ex${final}`),
    // Either direction's update asks the context for its own.
    authenticate: library.func(
      'int EVP_CipherUpdate(uintptr_t ctx, uintptr_t out, uintptr_t outl, uintptr_t in, int inl)',
    ),
    control: library.func('int EVP_CIPHER_CTX_ctrl(uintptr_t ctx, int type, int arg, uintptr_t ptr)'),
    clearErrors: library.func('void ERR_clear_error()'),
  }
}
