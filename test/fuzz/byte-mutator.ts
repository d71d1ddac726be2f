/** Changes of bytes that know nothing of what the bytes mean, except that lengths stand before contents. */
import { concat } from '../../src/bytes/bytes.ts'
import type { Random } from '../support/mutations.ts'

/** Longer inputs show nothing that these do not, and take their time. */
export const MAX_INPUT_BYTES: number = 2 ** 16

/** Where lengths wrap, signs flip, limits lie and tags begin. */
const INTERESTING_BYTES = [
  0, 1, 2, 3, 4, 5, 0x0a, 0x10, 0x1f, 0x20, 0x2e, 0x2f, 0x30, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0x82, 0xa0, 0xc0,
  0xfe, 0xff,
]

const INTERESTING_WORDS = [
  0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1ff, 0x3fff, 0x4000, 0x4001, 0x7fff, 0x8000, 0xfffe, 0xffff,
]

type Change = (input: Uint8Array<ArrayBuffer>, random: Random, other: Uint8Array) => Uint8Array<ArrayBuffer>

const CHANGES: readonly Change[] = [
  function flipBit(input, random) {
    input[random(input.length)]! ^= 1 << random(8)
    return input
  },
  function changeByte(input, random) {
    input[random(input.length)] = random(256)
    return input
  },
  function setInterestingByte(input, random) {
    input[random(input.length)] = INTERESTING_BYTES[random(INTERESTING_BYTES.length)]!
    return input
  },
  function setInterestingWord(input, random) {
    const at = random(input.length)
    const word = INTERESTING_WORDS[random(INTERESTING_WORDS.length)]!
    input[at] = word >>> 8
    if (at + 1 < input.length) input[at + 1] = word
    return input
  },
  function addToByte(input, random) {
    input[random(input.length)]! += random(9) - 4
    return input
  },
  function truncate(input, random) {
    return input.slice(0, random(input.length))
  },
  function remove(input, random) {
    const at = random(input.length)
    return concat(input.subarray(0, at), input.subarray(at + 1 + random(16)))
  },
  function insert(input, random) {
    const at = random(input.length + 1)
    const noise = Uint8Array.from({ length: 1 + random(8) }, () => random(256))
    return concat(input.subarray(0, at), noise, input.subarray(at))
  },
  function duplicate(input, random) {
    const at = random(input.length)
    const piece = input.subarray(at, at + 1 + random(64))
    return concat(input.subarray(0, at), piece, input.subarray(at))
  },
  function copyWithin(input, random) {
    const length = 1 + random(Math.min(32, input.length))
    input.copyWithin(random(input.length), random(input.length - length + 1), length)
    return input
  },
  function takeFromOther(input, random, other) {
    const from = random(other.length + 1)
    const piece = other.subarray(from, from + 1 + random(64))
    const at = random(input.length + 1)
    const replaced = random(2) === 0 ? piece.length : 0
    return concat(input.subarray(0, at), piece, input.subarray(at + replaced))
  },
  function growWithItsLength(input, random) {
    return resizeBehindLength(input, random)
  },
  function endAsOther(input, random, other) {
    return concat(input.subarray(0, random(input.length + 1)), other.subarray(random(other.length + 1)))
  },
]

/** What takes time in proportion to more than its length shows only in long inputs; most should be short. */
const REPEAT_ONE_IN = 200

/** A changed copy of `input`, which may borrow from `other`. */
export function mutateBytes(input: Uint8Array, other: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  let bytes = new Uint8Array(input)
  for (let changes = 1 + random(random(8) === 0 ? 8 : 2); changes > 0; changes--) {
    if (bytes.length === 0) bytes = Uint8Array.from({ length: 1 + random(16) }, () => random(256))
    bytes = CHANGES[random(CHANGES.length)]!(bytes, random, other)
  }
  if (random(REPEAT_ONE_IN) === 0) bytes = repeatPiece(bytes, random)
  return bytes.length > MAX_INPUT_BYTES ? bytes.slice(0, MAX_INPUT_BYTES) : bytes
}

/** Finds a place that reads as the length of what follows it, and changes both. */
function resizeBehindLength(input: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const start = random(input.length)
  for (let at = start; at < Math.min(input.length, start + 64); at++) {
    const wide = at + 1 < input.length && random(2) === 0
    const length = wide ? (input[at]! << 8) | input[at + 1]! : input[at]!
    const contents = at + (wide ? 2 : 1)
    if (length === 0 || contents + length > input.length) continue
    const cut = random(length + 1)
    const added =
      random(2) === 0 ? new Uint8Array(0) : Uint8Array.from({ length: random(16) }, () => random(256))
    const resized = concat(input.subarray(contents, contents + length - cut), added)
    const prefix = wide ? Uint8Array.of(resized.length >>> 8, resized.length) : Uint8Array.of(resized.length)
    return concat(input.subarray(0, at), prefix, resized, input.subarray(contents + length))
  }
  return input
}

function repeatPiece(input: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const at = random(input.length + 1)
  const piece = input.subarray(at, at + 1 + random(24))
  const times = 1 + random(Math.floor(MAX_INPUT_BYTES / (piece.length + 1)))
  const repeated = new Uint8Array(piece.length * times)
  for (let i = 0; i < times; i++) repeated.set(piece, i * piece.length)
  return concat(input.subarray(0, at), repeated, input.subarray(at))
}
