import type { LibraryHandle } from 'koffi'

import type { Address } from './fixed-memory.ts'

/**
 * The functions of OpenSSL's EVP that key agreements need, as C declares them. Those that return a number return 1 for
 * success. A length that is written through an address says beforehand how much there is room for.
 */
export interface EvpAgreementFunctions {
  readonly newContextByName: (libraryContext: null, name: string, properties: null) => Address
  readonly newContextByKey: (libraryContext: 0, key: Address, properties: 0) => Address
  readonly freeContext: (context: Address) => void
  readonly generateInit: (context: Address) => number
  /** Writes the key's address to where there was 0. */
  readonly generate: (context: Address, key: Address) => number
  readonly freeKey: (key: Address) => void
  readonly publicKey: (key: Address, output: Address, length: Address) => number
  readonly importPublicKey: (
    libraryContext: 0,
    name: string,
    properties: 0,
    bytes: Address,
    length: number,
  ) => Address
  readonly deriveInit: (context: Address) => number
  readonly setPeer: (context: Address, peer: Address, isValidated: number) => number
  readonly derive: (context: Address, output: Address, length: Address) => number
  readonly encapsulateInit: (context: Address, parameters: 0) => number
  readonly encapsulate: (
    context: Address,
    ciphertext: Address,
    ciphertextLength: Address,
    secret: Address,
    secretLength: Address,
  ) => number
  readonly decapsulateInit: (context: Address, parameters: 0) => number
  readonly decapsulate: (
    context: Address,
    secret: Address,
    secretLength: Address,
    ciphertext: Address,
    ciphertextLength: number,
  ) => number
  readonly clearErrors: () => void
}

/**
 * Binds the functions of `library`. Lengths and addresses are passed as numbers throughout, so that no call converts a BigInt.
 *
 * @throws Error naming the first symbol that the library lacks
 */
export function bindEvpAgreementFunctions(library: LibraryHandle): EvpAgreementFunctions {
  return {
    newContextByName: library.func(
      'uintptr_t EVP_PKEY_CTX_new_from_name(void* libctx, const char* name, const char* props)',
    ),
    newContextByKey: library.func(
      'uintptr_t EVP_PKEY_CTX_new_from_pkey(uintptr_t libctx, uintptr_t pkey, uintptr_t props)',
    ),
    freeContext: library.func('void EVP_PKEY_CTX_free(uintptr_t ctx)'),
    generateInit: library.func('int EVP_PKEY_keygen_init(uintptr_t ctx)'),
    generate: library.func('int EVP_PKEY_generate(uintptr_t ctx, uintptr_t ppkey)'),
    freeKey: library.func('void EVP_PKEY_free(uintptr_t pkey)'),
    publicKey: library.func('int EVP_PKEY_get_raw_public_key(uintptr_t pkey, uintptr_t pub, uintptr_t len)'),
    importPublicKey: library.func(
      'uintptr_t EVP_PKEY_new_raw_public_key_ex(uintptr_t libctx, const char* name, uintptr_t props, uintptr_t pub, size_t len)',
    ),
    deriveInit: library.func('int EVP_PKEY_derive_init(uintptr_t ctx)'),
    setPeer: library.func('int EVP_PKEY_derive_set_peer_ex(uintptr_t ctx, uintptr_t peer, int validate)'),
    derive: library.func('int EVP_PKEY_derive(uintptr_t ctx, uintptr_t key, uintptr_t len)'),
    encapsulateInit: library.func('int EVP_PKEY_encapsulate_init(uintptr_t ctx, uintptr_t params)'),
    encapsulate: library.func(
      'int EVP_PKEY_encapsulate(uintptr_t ctx, uintptr_t wrapped, uintptr_t wrappedlen, uintptr_t gen, uintptr_t genlen)',
    ),
    decapsulateInit: library.func('int EVP_PKEY_decapsulate_init(uintptr_t ctx, uintptr_t params)'),
    decapsulate: library.func(
      'int EVP_PKEY_decapsulate(uintptr_t ctx, uintptr_t unwrapped, uintptr_t unwrappedlen, uintptr_t wrapped, size_t wrappedlen)',
    ),
    clearErrors: library.func('void ERR_clear_error()'),
  }
}
