import { messageOf } from '../errors.ts'
import { AeadWorkbench, EvpOpener, EvpSealer } from './evp-aead.ts'
import { EvpAgreements } from './evp-agreement.ts'
import { bindEvpAgreementFunctions } from './evp-agreement-functions.ts'
import { bindEvpFunctions, type EvpFunctions } from './evp-functions.ts'
import { EvpHashes } from './evp-hash.ts'
import { bindEvpHashFunctions } from './evp-hash-functions.ts'
import type { Address } from './fixed-memory.ts'
import { loadKoffi } from './koffi.ts'

/** The AEADs, with OpenSSL's name, the key's length and the known answer that {@link loadEvp} asks for. */
const AEADS = {
  // The tag over nothing under a key and a nonce of zeros: test cases 1 and 13 of the GCM specification, and for
  // ChaCha20-Poly1305 computed by the construction of RFC 8439 §2.8.
  'aes-128-gcm': { cipher: 'AES-128-GCM', keyBytes: 16, answer: '58e2fccefa7e3061367f1d57a4e7455a' },
  'aes-256-gcm': { cipher: 'AES-256-GCM', keyBytes: 32, answer: '530f8afbc74536b9a963b4f1c4cb738b' },
  'chacha20-poly1305': {
    cipher: 'ChaCha20-Poly1305',
    keyBytes: 32,
    answer: '4eb972c9a8fb3a1b382bb4d36f5ffad1',
  },
} as const

export type EvpAeadName = keyof typeof AEADS

/** What {@link loadEvp} found. */
export type EvpProbe =
  | { readonly kind: 'available'; readonly evp: Evp }
  | { readonly kind: 'missing'; readonly reason: string }

/** Record protection, hashes and key agreements by the OpenSSL that Node itself carries. Made by {@link loadEvp} only. */
export class Evp {
  readonly hashes: EvpHashes
  readonly agreements: EvpAgreements
  readonly #bench: AeadWorkbench
  readonly #ciphers: Readonly<Record<EvpAeadName, Address>>

  constructor(
    functions: EvpFunctions,
    ciphers: Readonly<Record<EvpAeadName, Address>>,
    { hashes, agreements }: { readonly hashes: EvpHashes; readonly agreements: EvpAgreements },
  ) {
    this.hashes = hashes
    this.agreements = agreements
    this.#bench = new AeadWorkbench(functions)
    this.#ciphers = ciphers
  }

  /** @throws RangeError for a key of the wrong length. @throws NativeError NATIVE_FAILED */
  sealer(aead: EvpAeadName, key: Uint8Array): EvpSealer {
    checkKey(aead, key)
    return new EvpSealer(this.#bench, this.#ciphers[aead], key)
  }

  /** @throws RangeError for a key of the wrong length. @throws NativeError NATIVE_FAILED */
  opener(aead: EvpAeadName, key: Uint8Array): EvpOpener {
    checkKey(aead, key)
    return new EvpOpener(this.#bench, this.#ciphers[aead], key)
  }
}

/**
 * Looks for OpenSSL's EVP among the symbols of the running process, once; says why when it is not to be had:
 * no koffi for this platform, a Node built without exported symbols, or one whose answers are wrong.
 */
export function loadEvp(): EvpProbe {
  probe ??= probeEvp()
  return probe
}

let probe: EvpProbe | undefined

function probeEvp(): EvpProbe {
  try {
    const library = loadKoffi().load(null)
    const functions = bindEvpFunctions(library)
    const ciphers = {
      'aes-128-gcm': fetchCipher(functions, 'aes-128-gcm'),
      'aes-256-gcm': fetchCipher(functions, 'aes-256-gcm'),
      'chacha20-poly1305': fetchCipher(functions, 'chacha20-poly1305'),
    }
    const evp = new Evp(functions, ciphers, {
      hashes: new EvpHashes(bindEvpHashFunctions(library)),
      agreements: new EvpAgreements(bindEvpAgreementFunctions(library)),
    })
    checkKnownAnswers(evp)
    return { kind: 'available', evp }
  } catch (error) {
    return { kind: 'missing', reason: messageOf(error) }
  }
}

/** Fetched once and kept for the life of the process; an implicit fetch per context would cost more than the context. */
function fetchCipher(functions: EvpFunctions, aead: EvpAeadName): Address {
  const cipher = functions.fetchCipher(null, AEADS[aead].cipher, null)
  if (cipher !== 0) return cipher
  functions.clearErrors()
  throw new Error(`OpenSSL does not offer ${AEADS[aead].cipher}`)
}

/** A library with the same symbols is not yet the same library. */
function checkKnownAnswers(evp: Evp): void {
  const none = new Uint8Array(0)
  const nonce = new Uint8Array(12)
  const output = new Uint8Array(16)
  for (const [name, { keyBytes, answer }] of Object.entries(AEADS)) {
    const key = new Uint8Array(keyBytes)
    using sealer = evp.sealer(name as EvpAeadName, key)
    using opener = evp.opener(name as EvpAeadName, key)
    sealer.seal(nonce, none, none, output)
    if (output.toHex() !== answer || opener.open(nonce, none, output, none) !== 0)
      throw new Error(`OpenSSL's ${name} does not give the known answer`)
  }
}

function checkKey(aead: EvpAeadName, key: Uint8Array): void {
  if (key.length === AEADS[aead].keyBytes) return
  throw new RangeError(`The key for ${aead} has ${key.length} bytes, expected ${AEADS[aead].keyBytes}`)
}
