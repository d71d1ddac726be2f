import { Writer } from '../bytes/writer.ts'
import type { CryptoProvider, HashContext, HashName } from '../crypto/provider.ts'
import { HandshakeType } from './registry.ts'

/** The running hash over all handshake messages (RFC 8446 §4.4.1). It begins before its hash is agreed. */
export class Transcript implements Disposable {
  readonly #crypto: CryptoProvider
  #waiting: Uint8Array[] = []
  #context: HashContext | undefined

  constructor(crypto: CryptoProvider) {
    this.#crypto = crypto
  }

  /** Appends a whole message, header included. */
  add(message: Uint8Array): void {
    if (this.#context === undefined) this.#waiting.push(message)
    else this.#context.update(message)
  }

  /** Fixes the hash, once the cipher suite is known; later calls change nothing. */
  begin(hash: HashName): void {
    if (this.#context !== undefined) return
    this.#context = this.#crypto.hash(hash)
    for (const message of this.#waiting) this.#context.update(message)
    this.#waiting = []
  }

  /** An independent transcript with the same history. */
  clone(): Transcript {
    const copy = new Transcript(this.#crypto)
    copy.#waiting = [...this.#waiting]
    copy.#context = this.#context?.clone()
    return copy
  }

  /** Puts a message_hash in the place of the first ClientHello, as a HelloRetryRequest demands. */
  collapse(hash: HashName): void {
    this.begin(hash)
    this.restart(hash, this.hash())
  }

  /** Begins anew with the message_hash of a first ClientHello (RFC 8446 §4.4.1). */
  restart(hash: HashName, helloHash: Uint8Array): void {
    this[Symbol.dispose]()
    this.#context = this.#crypto.hash(hash)
    this.add(new Writer().uint8(HandshakeType.message_hash).bytes24(helloHash).finish())
  }

  /** What the hash would be with `more` at the end; before it is fixed, under any hash. */
  hashWith(hash: HashName, more: Uint8Array = new Uint8Array(0)): Uint8Array {
    if (this.#context === undefined && this.#waiting.length === 0) return this.#crypto.digest(hash, more)
    using context = this.#context?.clone() ?? this.#crypto.hash(hash)
    for (const message of this.#waiting) context.update(message)
    context.update(more)
    return context.digest()
  }

  /** The hash of all messages so far. @throws TypeError before {@link begin} */
  hash(): Uint8Array {
    if (this.#context === undefined)
      throw new TypeError('The transcript has no hash before a cipher suite is agreed')
    return this.#context.digest()
  }

  /** Forgets all messages; their hash is needed no more. */
  [Symbol.dispose](): void {
    this.#waiting = []
    this.#context?.[Symbol.dispose]()
    this.#context = undefined
  }
}
