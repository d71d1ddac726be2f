import type { LibraryHandle } from 'koffi'

import type { Pointer } from './evp-functions.ts'
import { loadKoffi } from './koffi.ts'

/**
 * The functions of OpenSSL's EVP that hashes and HMAC need, as C declares them. Those that return a number return 1 for
 * success. None of them checks a length against the memory behind it: their callers must.
 */
export interface EvpHashFunctions {
  readonly fetchHash: (libraryContext: null, name: string, properties: null) => Pointer | null
  readonly newHash: () => Pointer | null
  readonly freeHash: (context: Pointer) => void
  readonly copyHash: (to: Pointer, from: Pointer) => number
  readonly hashInit: (context: Pointer, hash: Pointer, parameters: null) => number
  readonly hashUpdate: (context: Pointer, bytes: Uint8Array, length: number) => number
  /** Writes as many bytes as the hash has, and asks for nobody's leave. */
  readonly hashFinal: (context: Pointer, output: Uint8Array, written: null) => number
  readonly fetchMac: (libraryContext: null, name: string, properties: null) => Pointer | null
  readonly newMac: (mac: Pointer) => Pointer | null
  readonly setMacParameters: (context: Pointer, parameters: readonly MacParameter[]) => number
  readonly macInit: (context: Pointer, key: Uint8Array, keyLength: number, parameters: null) => number
  readonly macUpdate: (context: Pointer, bytes: Uint8Array, length: number) => number
  readonly macFinal: (context: Pointer, output: Uint8Array, written: null, capacity: number) => number
  readonly clearErrors: () => void
}

/** OSSL_PARAM (openssl/core.h); the one without a key ends a list. */
export interface MacParameter {
  readonly key: string | null
  readonly data_type: number
  readonly data: Uint8Array | null
  readonly data_size: number
  readonly return_size: number
}

/** OSSL_PARAM_UTF8_STRING (openssl/core.h). */
export const PARAMETER_UTF8_STRING = 4

/**
 * Binds the functions of `library`. Lengths are passed as numbers throughout, so that no call converts a BigInt.
 *
 * @throws Error naming the first symbol that the library lacks
 */
export function bindEvpHashFunctions(library: LibraryHandle): EvpHashFunctions {
  const { struct, pointer } = loadKoffi()
  const parameter = struct({
    key: 'const char*',
    data_type: 'unsigned int',
    data: 'void*',
    data_size: 'size_t',
    return_size: 'size_t',
  })
  return {
    fetchHash: library.func('void* EVP_MD_fetch(void* libctx, const char* name, const char* props)'),
    newHash: library.func('void* EVP_MD_CTX_new()'),
    freeHash: library.func('void EVP_MD_CTX_free(void* ctx)'),
    copyHash: library.func('int EVP_MD_CTX_copy_ex(void* out, const void* in)'),
    hashInit: library.func('int EVP_DigestInit_ex2(void* ctx, const void* type, const void* params)'),
    hashUpdate: library.func('int EVP_DigestUpdate(void* ctx, const uint8_t* data, size_t len)'),
    hashFinal: library.func('int EVP_DigestFinal_ex(void* ctx, uint8_t* out, unsigned int* size)'),
    fetchMac: library.func('void* EVP_MAC_fetch(void* libctx, const char* name, const char* props)'),
    newMac: library.func('void* EVP_MAC_CTX_new(void* mac)'),
    setMacParameters: library.func('EVP_MAC_CTX_set_params', 'int', ['void*', pointer(parameter)]),
    macInit: library.func('int EVP_MAC_init(void* ctx, const uint8_t* key, size_t len, const void* params)'),
    macUpdate: library.func('int EVP_MAC_update(void* ctx, const uint8_t* data, size_t len)'),
    macFinal: library.func('int EVP_MAC_final(void* ctx, uint8_t* out, size_t* outl, size_t outsize)'),
    clearErrors: library.func('void ERR_clear_error()'),
  }
}
