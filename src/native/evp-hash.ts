import { utf8 } from '../bytes/bytes.ts'
import { NativeError } from './errors.ts'
import { EvpContext } from './evp-context.ts'
import type { EvpHashFunctions } from './evp-hash-functions.ts'
import { FixedMemory, type Address } from './fixed-memory.ts'

/** The hashes, with OpenSSL's names, their output, their block and the known answers for "abc" (FIPS 180-4's examples). */
const HASHES = {
  sha256: { fetched: 'SHA256', bytes: 32, blockBytes: 64, answer: 'ba7816bf' },
  sha384: { fetched: 'SHA384', bytes: 48, blockBytes: 128, answer: 'cb00753f' },
  sha512: { fetched: 'SHA512', bytes: 64, blockBytes: 128, answer: 'ddaf35a1' },
} as const

export type EvpHashName = keyof typeof HASHES

/** What is shorter is laid down before it is hashed. */
const INPUT_BYTES = 512

/** HMAC's two pads (RFC 2104 §2). */
const INNER_PAD = 0x36
const OUTER_PAD = 0x5c

const MAX_HASH_BYTES = 64

/** One hash: what is kept of it for the life of the process. */
interface Fetched {
  readonly hash: Address
  readonly bytes: number
  readonly blockBytes: number
  /** For whole messages, and for reading a running hash: begun anew each time, and wiped as it ends. */
  readonly scratch: Address
  /** The two inputs of HMAC: a block that holds the pad between two calls, and room for what follows it. */
  readonly inner: FixedMemory
  readonly outer: FixedMemory
}

/** OpenSSL's functions, and the memory in which inputs are laid down for them and their outputs are found. */
interface Workbench {
  readonly functions: EvpHashFunctions
  readonly input: FixedMemory
  readonly output: FixedMemory
}

/** Hashes and HMAC by the OpenSSL that Node itself carries, in contexts that are used again. */
export class EvpHashes {
  readonly #bench: Workbench
  readonly #fetched: Readonly<Record<EvpHashName, Fetched>>

  /** @throws Error when OpenSSL does not offer them, or gives wrong answers */
  constructor(functions: EvpHashFunctions) {
    this.#bench = {
      functions,
      input: new FixedMemory(INPUT_BYTES),
      output: new FixedMemory(MAX_HASH_BYTES),
    }
    this.#fetched = {
      sha256: fetchHash(functions, 'sha256'),
      sha384: fetchHash(functions, 'sha384'),
      sha512: fetchHash(functions, 'sha512'),
    }
    this.#checkKnownAnswers()
  }

  /** The hash of `bytes`. @throws NativeError NATIVE_FAILED */
  digest(name: EvpHashName, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const { hash, scratch, bytes: length } = this.#fetched[name]
    const { functions: f } = this.#bench
    check(f, f.hashInit(scratch, hash, 0) === 1, 'EVP_DigestInit_ex2')
    update(this.#bench, scratch, bytes)
    return finished(this.#bench, scratch, length)
  }

  /** RFC 2104: a hash of the key and the message in a hash of the key. @throws NativeError NATIVE_FAILED */
  hmac(name: EvpHashName, key: Uint8Array, message: Uint8Array): Uint8Array<ArrayBuffer> {
    const { hash, scratch, bytes, blockBytes, inner, outer } = this.#fetched[name]
    if (key.length > blockBytes) {
      using hashed = new Wiped(this.digest(name, key))
      return this.hmac(name, hashed.bytes, message)
    }
    const { functions: f, output } = this.#bench
    const fits = message.length <= INPUT_BYTES
    for (let i = 0; i < key.length; i++) {
      inner.bytes[i] = key[i]! ^ INNER_PAD
      outer.bytes[i] = key[i]! ^ OUTER_PAD
    }
    if (fits) inner.bytes.set(message, blockBytes)
    const isHashed =
      f.hashInit(scratch, hash, 0) === 1 &&
      f.hashUpdate(scratch, inner.address, fits ? blockBytes + message.length : blockBytes) === 1 &&
      (fits || f.hashUpdateArray(scratch, message, message.length) === 1) &&
      f.hashFinal(scratch, outer.address + blockBytes, 0) === 1 &&
      f.hashInit(scratch, hash, 0) === 1 &&
      f.hashUpdate(scratch, outer.address, blockBytes + bytes) === 1 &&
      f.hashFinal(scratch, output.address, 0) === 1
    inner.bytes.fill(INNER_PAD, 0, key.length)
    outer.bytes.fill(OUTER_PAD, 0, key.length)
    if (fits) inner.bytes.fill(0, blockBytes, blockBytes + message.length)
    outer.bytes.fill(0, blockBytes, blockBytes + bytes)
    const mac = output.take(bytes)
    check(f, isHashed, 'HMAC')
    return mac
  }

  /** A hash that goes on. @throws NativeError NATIVE_FAILED */
  begin(name: EvpHashName): EvpHash {
    return EvpHash.begin(this.#bench, this.#fetched[name])
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
  readonly #bench: Workbench
  readonly #fetched: Fetched
  readonly #context: EvpContext

  private constructor(bench: Workbench, fetched: Fetched) {
    const { functions } = bench
    this.#bench = bench
    this.#fetched = fetched
    this.#context = new EvpContext('The hash context', functions.newHash(), functions.freeHash)
  }

  /** @throws NativeError NATIVE_FAILED */
  static begin(bench: Workbench, fetched: Fetched): EvpHash {
    const begun = new EvpHash(bench, fetched)
    const { functions: f } = bench
    check(f, f.hashInit(begun.#context.address, fetched.hash, 0) === 1, 'EVP_DigestInit_ex2')
    return begun
  }

  /** @throws ReferenceError after disposal. @throws NativeError NATIVE_FAILED */
  update(bytes: Uint8Array): void {
    update(this.#bench, this.#context.address, bytes)
  }

  /** The hash of all so far. @throws ReferenceError after disposal. @throws NativeError NATIVE_FAILED */
  digest(): Uint8Array<ArrayBuffer> {
    const { scratch, bytes } = this.#fetched
    const { functions: f } = this.#bench
    check(f, f.copyHash(scratch, this.#context.address) === 1, 'EVP_MD_CTX_copy_ex')
    return finished(this.#bench, scratch, bytes)
  }

  /** One that goes on on its own. @throws ReferenceError after disposal. @throws NativeError NATIVE_FAILED */
  clone(): EvpHash {
    const copy = new EvpHash(this.#bench, this.#fetched)
    const { functions: f } = this.#bench
    check(f, f.copyHash(copy.#context.address, this.#context.address) === 1, 'EVP_MD_CTX_copy_ex')
    return copy
  }

  [Symbol.dispose](): void {
    this.#context.free()
  }
}

/** Bytes that are wiped at the end of a block. */
class Wiped implements Disposable {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  [Symbol.dispose](): void {
    this.bytes.fill(0)
  }
}

function fetchHash(functions: EvpHashFunctions, name: EvpHashName): Fetched {
  const { fetched, bytes, blockBytes } = HASHES[name]
  return {
    bytes,
    blockBytes,
    hash: demanded(functions.fetchHash(null, fetched, null), fetched),
    scratch: demanded(functions.newHash(), 'memory for hashes'),
    inner: paddedMemory(INNER_PAD, blockBytes, INPUT_BYTES),
    outer: paddedMemory(OUTER_PAD, blockBytes, bytes),
  }
}

function paddedMemory(pad: number, blockBytes: number, more: number): FixedMemory {
  const memory = new FixedMemory(blockBytes + more)
  memory.bytes.fill(pad, 0, blockBytes)
  return memory
}

function demanded(address: Address, what: string): Address {
  if (address !== 0) return address
  throw new Error(`OpenSSL does not offer ${what}`)
}

function update({ functions: f, input }: Workbench, context: Address, bytes: Uint8Array): void {
  const { length } = bytes
  if (length === 0) return
  if (length > INPUT_BYTES)
    return check(f, f.hashUpdateArray(context, bytes, length) === 1, 'EVP_DigestUpdate')
  input.bytes.set(bytes)
  const isUpdated = f.hashUpdate(context, input.address, length) === 1
  input.bytes.fill(0, 0, length)
  check(f, isUpdated, 'EVP_DigestUpdate')
}

/** Ends a whole message, or the copy of a running hash. */
function finished(
  { functions: f, output }: Workbench,
  scratch: Address,
  bytes: number,
): Uint8Array<ArrayBuffer> {
  check(f, f.hashFinal(scratch, output.address, 0) === 1, 'EVP_DigestFinal_ex')
  return output.take(bytes)
}

/** OpenSSL's error queue belongs to the thread; what is left there would be taken for a later call's error. */
function check(f: EvpHashFunctions, succeeded: boolean, what: string): void {
  if (succeeded) return
  f.clearErrors()
  throw new NativeError('NATIVE_FAILED', `${what} failed`)
}
