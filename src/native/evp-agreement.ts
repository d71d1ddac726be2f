import { equalBytes } from '../bytes/bytes.ts'
import { NativeError } from './errors.ts'
import type { EvpAgreementFunctions } from './evp-agreement-functions.ts'
import { EvpContext } from './evp-context.ts'
import { FixedMemory, FixedWord, type Address } from './fixed-memory.ts'

/** Kinds of keys, with OpenSSL's names and the lengths in bytes (RFC 7748 §6.1; FIPS 203 §8, table 3). */
const KINDS = {
  x25519: { fetched: 'X25519', publicKeyBytes: 32, ciphertextBytes: 0 },
  'ml-kem-768': { fetched: 'ML-KEM-768', publicKeyBytes: 1184, ciphertextBytes: 1088 },
  'ml-kem-1024': { fetched: 'ML-KEM-1024', publicKeyBytes: 1568, ciphertextBytes: 1568 },
} as const

export type EvpAgreementKind = keyof typeof KINDS

/** Those with which a secret is sent, not agreed. */
export type EvpKemKind = Exclude<EvpAgreementKind, 'x25519'>

/** Of every kind. */
const SECRET_BYTES = 32

const MAX_PUBLIC_BYTES = 1568

/** OpenSSL's functions, and the memory for what they read and write. */
interface Workbench {
  readonly functions: EvpAgreementFunctions
  /** A public key or a ciphertext, of the peer or our own. */
  readonly publicBytes: FixedMemory
  readonly secret: FixedMemory
  readonly key: FixedWord
  readonly publicLength: FixedWord
  readonly secretLength: FixedWord
}

/** Ephemeral keys by the OpenSSL that Node itself carries. */
export class EvpAgreements {
  readonly #bench: Workbench
  /** Contexts that generate keys, for the life of the process. */
  readonly #generators: Readonly<Record<EvpAgreementKind, Address>>

  /** @throws Error when OpenSSL does not offer them, or contradicts itself */
  constructor(functions: EvpAgreementFunctions) {
    this.#bench = {
      functions,
      publicBytes: new FixedMemory(MAX_PUBLIC_BYTES),
      secret: new FixedMemory(SECRET_BYTES),
      key: new FixedWord(),
      publicLength: new FixedWord(),
      secretLength: new FixedWord(),
    }
    this.#generators = {
      x25519: newGenerator(functions, 'x25519'),
      'ml-kem-768': newGenerator(functions, 'ml-kem-768'),
      'ml-kem-1024': newGenerator(functions, 'ml-kem-1024'),
    }
    this.#checkAgainstItself()
  }

  /** A fresh key. @throws NativeError NATIVE_FAILED */
  generate(kind: EvpAgreementKind): EvpAgreementKey {
    const { functions: f, key } = this.#bench
    key.value = 0
    if (f.generate(this.#generators[kind], key.address) !== 1)
      throw failure(f, `OpenSSL makes no ${kind} key`)
    return new EvpAgreementKey(this.#bench, kind, key.value)
  }

  /**
   * A secret, and what sends it to the owner of `encapsulationKey`.
   *
   * @returns undefined for a key that is none (FIPS 203 §7.2)
   */
  encapsulate(
    kind: EvpKemKind,
    encapsulationKey: Uint8Array,
  ): { readonly ciphertext: Uint8Array; readonly secret: Uint8Array } | undefined {
    const { functions: f, publicBytes, publicLength, secret, secretLength } = this.#bench
    const { ciphertextBytes } = KINDS[kind]
    const peer = importedKey(this.#bench, kind, encapsulationKey)
    if (peer === 0) return undefined
    const context = f.newContextByKey(0, peer, 0)
    publicLength.value = ciphertextBytes
    secretLength.value = SECRET_BYTES
    const isDone =
      context !== 0 &&
      f.encapsulateInit(context, 0) === 1 &&
      f.encapsulate(
        context,
        publicBytes.address,
        publicLength.address,
        secret.address,
        secretLength.address,
      ) === 1 &&
      publicLength.value === ciphertextBytes
    f.freeContext(context)
    f.freeKey(peer)
    const ciphertext = publicBytes.bytes.slice(0, ciphertextBytes)
    const shared = takenSecret(this.#bench, isDone)
    return shared === undefined ? undefined : { ciphertext, secret: shared }
  }

  /** A library with the same symbols is not yet the same library. */
  #checkAgainstItself(): void {
    using one = this.generate('x25519')
    using other = this.generate('x25519')
    const [secret, same] = [one.derive(other.publicKey), other.derive(one.publicKey)]
    if (secret === undefined || same === undefined || !equalBytes(secret, same))
      throw new Error("The two sides of OpenSSL's X25519 do not agree")
    using kem = this.generate('ml-kem-768')
    const sent = this.encapsulate('ml-kem-768', kem.publicKey)
    const received = sent && kem.decapsulate(sent.ciphertext)
    if (received === undefined || !equalBytes(sent!.secret, received))
      throw new Error("The two sides of OpenSSL's ML-KEM do not agree")
  }
}

/** An ephemeral private key, which is freed once it has served. */
export class EvpAgreementKey implements Disposable {
  readonly publicKey: Uint8Array
  readonly #bench: Workbench
  readonly #kind: EvpAgreementKind
  readonly #key: EvpContext

  /** @param address of a key that is this object's from here on. @throws NativeError NATIVE_FAILED */
  constructor(bench: Workbench, kind: EvpAgreementKind, address: Address) {
    const { functions: f, publicBytes, publicLength } = bench
    const { publicKeyBytes } = KINDS[kind]
    this.#bench = bench
    this.#kind = kind
    this.#key = new EvpContext('The key', address, f.freeKey)
    publicLength.value = publicKeyBytes
    const isRead =
      f.publicKey(address, publicBytes.address, publicLength.address) === 1 &&
      publicLength.value === publicKeyBytes
    this.publicKey = publicBytes.bytes.slice(0, publicKeyBytes)
    if (isRead) return
    this.#key.free()
    throw failure(f, `OpenSSL does not tell the public half of its ${kind} key`)
  }

  /**
   * The secret that is shared with the owner of `peerKey`; of an x25519 key.
   *
   * @returns undefined for a key that is none, or that leads to a secret of zeros (RFC 7748 §6.1)
   * @throws ReferenceError after disposal
   */
  derive(peerKey: Uint8Array): Uint8Array | undefined {
    const { functions: f, secret, secretLength } = this.#bench
    const key = this.#key.address
    const peer = importedKey(this.#bench, this.#kind, peerKey)
    if (peer === 0) return undefined
    const context = f.newContextByKey(0, key, 0)
    secretLength.value = SECRET_BYTES
    const isDone =
      context !== 0 &&
      f.deriveInit(context) === 1 &&
      f.setPeer(context, peer, 0) === 1 &&
      f.derive(context, secret.address, secretLength.address) === 1
    f.freeContext(context)
    f.freeKey(peer)
    return takenSecret(this.#bench, isDone)
  }

  /**
   * The secret that was sent; of a KEM's key. A ciphertext that was not made for the key leads to a secret that nobody
   * knows (FIPS 203 §7.3).
   *
   * @returns undefined for a ciphertext of another length
   * @throws ReferenceError after disposal
   */
  decapsulate(ciphertext: Uint8Array): Uint8Array | undefined {
    const { functions: f, publicBytes, secret, secretLength } = this.#bench
    const key = this.#key.address
    if (ciphertext.length !== KINDS[this.#kind].ciphertextBytes) return undefined
    publicBytes.bytes.set(ciphertext)
    const context = f.newContextByKey(0, key, 0)
    secretLength.value = SECRET_BYTES
    const isDone =
      context !== 0 &&
      f.decapsulateInit(context, 0) === 1 &&
      f.decapsulate(context, secret.address, secretLength.address, publicBytes.address, ciphertext.length) ===
        1
    f.freeContext(context)
    return takenSecret(this.#bench, isDone)
  }

  [Symbol.dispose](): void {
    this.#key.free()
  }
}

/** What stands in the memory for secrets, if it is one. */
function takenSecret(
  { functions: f, secret, secretLength }: Workbench,
  isDone: boolean,
): Uint8Array | undefined {
  const taken = secret.take(SECRET_BYTES)
  if (isDone && secretLength.value === SECRET_BYTES) return taken
  taken.fill(0)
  f.clearErrors()
  return undefined
}

function newGenerator(f: EvpAgreementFunctions, kind: EvpAgreementKind): Address {
  const context = f.newContextByName(null, KINDS[kind].fetched, null)
  if (context !== 0 && f.generateInit(context) === 1) return context
  f.clearErrors()
  throw new Error(`OpenSSL does not offer ${KINDS[kind].fetched}`)
}

/** The caller's to free; 0 for bytes that are no public key. */
function importedKey(
  { functions: f, publicBytes }: Workbench,
  kind: EvpAgreementKind,
  bytes: Uint8Array,
): Address {
  const { fetched, publicKeyBytes } = KINDS[kind]
  if (bytes.length !== publicKeyBytes) return 0
  publicBytes.bytes.set(bytes)
  const address = f.importPublicKey(0, fetched, 0, publicBytes.address, publicKeyBytes)
  if (address === 0) f.clearErrors()
  return address
}

function failure(f: EvpAgreementFunctions, message: string): NativeError {
  f.clearErrors()
  return new NativeError('NATIVE_FAILED', message)
}
