import type { LibraryHandle } from 'koffi'

import type { Address } from './fixed-memory.ts'

/**
 * The functions of OpenSSL's EVP that hashes need, as C declares them. Those that return a number return 1 for success.
 * None of them checks a length against the memory behind it: their callers must.
 */
export interface EvpHashFunctions {
  readonly fetchHash: (libraryContext: null, name: string, properties: null) => Address
  readonly newHash: () => Address
  readonly freeHash: (context: Address) => void
  readonly copyHash: (to: Address, from: Address) => number
  readonly hashInit: (context: Address, hash: Address, parameters: 0) => number
  readonly hashUpdate: (context: Address, bytes: Address, length: number) => number
  /** The same for bytes of any array, which keeps its address during the call. */
  readonly hashUpdateArray: (context: Address, bytes: Uint8Array, length: number) => number
  /** Writes as many bytes as the hash has, and asks for nobody's leave. */
  readonly hashFinal: (context: Address, output: Address, written: 0) => number
  readonly clearErrors: () => void
}

/**
 * Binds the functions of `library`. Lengths and addresses are passed as numbers throughout, so that no call converts a BigInt.
 *
 * @throws Error naming the first symbol that the library lacks
 */
export function bindEvpHashFunctions(library: LibraryHandle): EvpHashFunctions {
  return {
    fetchHash: library.func('uintptr_t EVP_MD_fetch(void* libctx, const char* name, const char* props)'),
    newHash: library.func('uintptr_t EVP_MD_CTX_new()'),
    freeHash: library.func('void EVP_MD_CTX_free(uintptr_t ctx)'),
    copyHash: library.func('int EVP_MD_CTX_copy_ex(uintptr_t out, uintptr_t in)'),
    hashInit: library.func('int EVP_DigestInit_ex2(uintptr_t ctx, uintptr_t type, uintptr_t params)'),
    hashUpdate: library.func('int EVP_DigestUpdate(uintptr_t ctx, uintptr_t data, size_t len)'),
    hashUpdateArray: library.func('int EVP_DigestUpdate(uintptr_t ctx, const uint8_t* data, size_t len)'),
    hashFinal: library.func('int EVP_DigestFinal_ex(uintptr_t ctx, uintptr_t out, uintptr_t size)'),
    clearErrors: library.func('void ERR_clear_error()'),
  }
}
