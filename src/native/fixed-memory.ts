import { loadKoffi } from './koffi.ts'

/** Where something lies in this process; 0 is nowhere. No address comes near 2^53. */
export type Address = number

/** V8 keeps the bytes of smaller arrays in its moving heap, and moves them out for good when they are asked for their address. */
const MIN_OUTSIDE_BYTES = 65

/**
 * Bytes whose address never changes, for what goes to and from native functions again and again: to lay a few bytes here
 * costs less than to find out where an array of their own lies, which has to be done anew at each call.
 *
 * Whoever uses it does so in one go, for a thread runs one call at a time, and wipes what is secret. It is never given
 * up, so it is for as many as there are of something in a program, not for as many as there are connections.
 */
export class FixedMemory {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly address: Address

  /** @param length in bytes, all zeros */
  constructor(length: number) {
    this.bytes = new Uint8Array(Math.max(length, MIN_OUTSIDE_BYTES))
    this.address = Number(loadKoffi().address(this.bytes))
    kept.push(this.bytes)
  }

  /** The first `length` bytes, a few, which belong to the caller and stand here no more. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const { bytes } = this
    const taken = new Uint8Array(length)
    for (let i = 0; i < length; i++) {
      taken[i] = bytes[i]!
      bytes[i] = 0
    }
    return taken
  }
}

/** An address alone keeps nothing alive. */
const kept: Uint8Array[] = []

/** A C `size_t` or a pointer at a fixed address, little-endian as all that Node runs on with eight bytes for them. */
export class FixedWord {
  readonly address: Address
  readonly #halves: Uint32Array

  constructor() {
    const memory = new FixedMemory(8)
    this.address = memory.address
    this.#halves = new Uint32Array(memory.bytes.buffer, 0, 2)
  }

  get value(): number {
    return this.#halves[0]! + this.#halves[1]! * 2 ** 32
  }

  /** For what is less than 2^32. */
  set value(value: number) {
    this.#halves[0] = value
    this.#halves[1] = 0
  }
}
