/** All of `parts`, one after the other, in a new array. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/**
 * Whether two byte strings are equal, in time that depends on their lengths only.
 *
 * It is the one comparison for secrets, and cheap enough for everything else.
 */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!
  return difference === 0
}

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return bytes.toHex()
}

/** The bytes of UTF-8 text. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text)
}

const encoder = new TextEncoder()

/** An array of its own costs more than what is done with one that is short-lived and small; this holds some hundred. */
const SLAB_BYTES = 65_536

/** What is larger gets memory of its own. */
const MAX_PIECE_BYTES = 8192

const NOTHING = new Uint8Array(0)

let slab = new ArrayBuffer(SLAB_BYTES)
let used = 0

/** Zeros, given out once. Small pieces share their memory, which lives as long as any of them: it is for what passes. */
export function passingBytes(length: number): Uint8Array<ArrayBuffer> {
  // A piece of nothing would keep the others' memory alive.
  if (length === 0) return NOTHING
  if (length > MAX_PIECE_BYTES) return new Uint8Array(length)
  if (used + length > SLAB_BYTES) {
    slab = new ArrayBuffer(SLAB_BYTES)
    used = 0
  }
  const piece = new Uint8Array(slab, used, length)
  used += length
  return piece
}

/** All of `parts`, one after the other, for what passes: see {@link passingBytes}. */
export function passingCopy(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0
  for (const part of parts) length += part.length
  const whole = passingBytes(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}
