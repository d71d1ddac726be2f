import { utf8 } from '../bytes/bytes.ts'
import { NativeError } from './errors.ts'
import { EvpContext } from './evp-context.ts'
import type { Pointer } from './evp-functions.ts'
import { PARAMETER_UTF8_STRING, type EvpHashFunctions } from './evp-hash-functions.ts'

/** The hashes, with OpenSSL's names, their output and the known answers for "abc" (FIPS 180-4's examples). */
const HASHES = {
  sha256: { fetched: 'SHA256', bytes: 32, answer: 'ba7816bf' },
  sha384: { fetched: 'SHA384', bytes: 48, answer: 'cb00753f' },
  sha512: { fetched: 'SHA512', bytes: 64, answer: 'ddaf35a1' },
} as const

export type EvpHashName = keyof typeof HASHES

/**
 * Where small inputs are laid before a call, and outputs after it. Memory of a typed array of at most 64 bytes lies in
 * V8's moving heap, and asking for its address moves it out for good, which costs more than the hash does; copying
 * does not. One thread runs one call at a time, so all calls share it, and each wipes what it has used.
 */
const INPUT_BYTES = 512
const input = new Uint8Array(INPUT_BYTES)
/** No block is longer, and no key of ours either; longer ones are passed as they are. */
const KEY_BYTES = 128
const key = new Uint8Array(KEY_BYTES)
/** The longest output, in memory that does not move: typed arrays of more than 64 bytes have theirs outside. */
const output = new Uint8Array(128)

/** One hash, and HMAC with it: what is kept of them for the life of the process. */
interface Fetched {
  readonly name: EvpHashName
  readonly hash: Pointer
  readonly bytes: number
  /** For whole messages, and for reading a running hash. */
  readonly scratch: Pointer
  readonly mac: Pointer
}

/** Hashes and HMAC by the OpenSSL that Node itself carries, in contexts that are used again. */
export class EvpHashes {
  readonly #functions: EvpHashFunctions
  readonly #fetched: Readonly<Record<EvpHashName, Fetched>>

  /** @throws Error when OpenSSL does not offer them, or gives wrong answers */
  constructor(functions: EvpHashFunctions) {
    this.#functions = functions
    const mac = demanded(functions.fetchMac(null, 'HMAC', null), 'HMAC')
    this.#fetched = {
      sha256: fetchHash(functions, mac, 'sha256'),
      sha384: fetchHash(functions, mac, 'sha384'),
      sha512: fetchHash(functions, mac, 'sha512'),
    }
    this.#checkKnownAnswers()
  }

  /** The hash of `bytes`. @throws NativeError NATIVE_FAILED */
  digest(name: EvpHashName, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const f = this.#functions
    const { hash, scratch, bytes: length } = this.#fetched[name]
    check(f, f.hashInit(scratch, hash, null) === 1, 'EVP_DigestInit_ex2')
    update(f, f.hashUpdate, scratch, bytes)
    return finish(f, scratch, length)
  }

  /** RFC 2104. @throws NativeError NATIVE_FAILED */
  hmac(name: EvpHashName, secret: Uint8Array, message: Uint8Array): Uint8Array<ArrayBuffer> {
    const f = this.#functions
    const { mac, bytes } = this.#fetched[name]
    // An empty array may have no address, and a null key means the one before: laid down, even no bytes have one.
    const isSmall = secret.length <= KEY_BYTES
    if (isSmall) key.set(secret)
    check(f, f.macInit(mac, isSmall ? key : secret, secret.length, null) === 1, 'EVP_MAC_init')
    update(f, f.macUpdate, mac, message)
    check(f, f.macFinal(mac, output, null, bytes) === 1, 'EVP_MAC_final')
    const answer = output.slice(0, bytes)
    output.fill(0, 0, bytes)
    // The context would keep what it made of the key until the next one comes: give it one that is no secret.
    key.fill(0)
    check(f, f.macInit(mac, key, bytes, null) === 1, 'EVP_MAC_init')
    return answer
  }

  /** A hash that goes on. @throws NativeError NATIVE_FAILED */
  begin(name: EvpHashName): EvpHash {
    return EvpHash.begin(this.#functions, this.#fetched[name])
  }

  /** A library with the same symbols is not yet the same library. */
  #checkKnownAnswers(): void {
    for (const [name, { answer }] of Object.entries(HASHES)) {
      if (
        this.digest(name as EvpHashName, utf8('abc'))
          .toHex()
          .startsWith(answer)
      )
        continue
      throw new Error(`OpenSSL's ${name} does not give the known answer`)
    }
    // RFC 4231, test case 2.
    const mac = this.hmac('sha256', utf8('Jefe'), utf8('what do ya want for nothing?'))
    if (!mac.toHex().startsWith('5bdcc146')) throw new Error("OpenSSL's HMAC does not give the known answer")
  }
}

/** A running hash in a context of its own. */
export class EvpHash implements Disposable {
  readonly #functions: EvpHashFunctions
  readonly #fetched: Fetched
  readonly #context: EvpContext

  private constructor(functions: EvpHashFunctions, fetched: Fetched) {
    this.#functions = functions
    this.#fetched = fetched
    this.#context = new EvpContext('The hash context', functions.newHash(), functions.freeHash)
  }

  /** @throws NativeError NATIVE_FAILED */
  static begin(functions: EvpHashFunctions, fetched: Fetched): EvpHash {
    const begun = new EvpHash(functions, fetched)
    check(
      functions,
      functions.hashInit(begun.#context.address, fetched.hash, null) === 1,
      'EVP_DigestInit_ex2',
    )
    return begun
  }

  /** @throws ReferenceError after disposal. @throws NativeError NATIVE_FAILED */
  update(bytes: Uint8Array): void {
    update(this.#functions, this.#functions.hashUpdate, this.#context.address, bytes)
  }

  /** The hash of all so far. @throws ReferenceError after disposal. @throws NativeError NATIVE_FAILED */
  digest(): Uint8Array<ArrayBuffer> {
    const { scratch, bytes } = this.#fetched
    const f = this.#functions
    check(f, f.copyHash(scratch, this.#context.address) === 1, 'EVP_MD_CTX_copy_ex')
    return finish(f, scratch, bytes)
  }

  /** One that goes on on its own. @throws ReferenceError after disposal. @throws NativeError NATIVE_FAILED */
  clone(): EvpHash {
    const copy = new EvpHash(this.#functions, this.#fetched)
    const copied = this.#functions.copyHash(copy.#context.address, this.#context.address) === 1
    check(this.#functions, copied, 'EVP_MD_CTX_copy_ex')
    return copy
  }

  [Symbol.dispose](): void {
    this.#context.free()
  }
}

function fetchHash(functions: EvpHashFunctions, mac: Pointer, name: EvpHashName): Fetched {
  const { fetched, bytes } = HASHES[name]
  const context = demanded(functions.newMac(mac), 'memory for HMAC')
  // OpenSSL copies the name while it is called.
  const digest = { key: 'digest', data_type: PARAMETER_UTF8_STRING, data: cString(fetched) }
  const parameters = [
    { ...digest, data_size: fetched.length, return_size: 0 },
    { key: null, data_type: 0, data: null, data_size: 0, return_size: 0 },
  ]
  if (functions.setMacParameters(context, parameters) !== 1)
    throw new Error(`OpenSSL has no HMAC with ${fetched}`)
  return {
    name,
    bytes,
    hash: demanded(functions.fetchHash(null, fetched, null), fetched),
    scratch: demanded(functions.newHash(), 'memory for hashes'),
    mac: context,
  }
}

function cString(text: string): Uint8Array {
  return utf8(`${text}\0`)
}

function demanded(pointer: Pointer | null, what: string): Pointer {
  if (pointer !== null) return pointer
  throw new Error(`OpenSSL does not offer ${what}`)
}

type UpdateFunction = (context: Pointer, bytes: Uint8Array, length: number) => number

function update(f: EvpHashFunctions, call: UpdateFunction, context: Pointer, bytes: Uint8Array): void {
  const { length } = bytes
  if (length === 0) return
  if (length > INPUT_BYTES) return check(f, call(context, bytes, length) === 1, 'An update')
  input.set(bytes)
  const updated = call(context, input, length) === 1
  input.fill(0, 0, length)
  check(f, updated, 'An update')
}

/** Ends a whole message, or the copy of a running hash. */
function finish(f: EvpHashFunctions, scratch: Pointer, bytes: number): Uint8Array<ArrayBuffer> {
  check(f, f.hashFinal(scratch, output, null) === 1, 'EVP_DigestFinal_ex')
  const answer = output.slice(0, bytes)
  output.fill(0, 0, bytes)
  return answer
}

/** OpenSSL's error queue belongs to the thread; what is left there would be taken for a later call's error. */
function check(f: EvpHashFunctions, succeeded: boolean, what: string): void {
  if (succeeded) return
  f.clearErrors()
  throw new NativeError('NATIVE_FAILED', `${what} failed`)
}
