/**
 * What is checked before an AEAD touches memory. Native code trusts its lengths, so each of these is a
 * condition of memory safety there; the other implementations keep the same contract.
 */

const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Lengths cross the native seam as a C int; the tag must still fit behind the text. */
const MAX_TEXT_BYTES = 0x7fff_ffff - TAG_BYTES

/** @throws RangeError for a nonce, a length, a capacity or an overlap that sealing cannot work with */
export function checkSealBounds(
  nonce: Uint8Array,
  additionalData: Uint8Array,
  plaintext: Uint8Array,
  output: Uint8Array,
  trailer?: Uint8Array,
): void {
  checkNonce(nonce)
  checkTextLength('Additional data', additionalData.length)
  const textBytes = plaintext.length + (trailer?.length ?? 0)
  checkTextLength('The plaintext', textBytes)
  const sealedBytes = textBytes + TAG_BYTES
  checkCapacity(sealedBytes, output.length)
  checkOverlap(plaintext, plaintext.length, output, sealedBytes)
  if (trailer === undefined) return
  checkApart(plaintext, output, sealedBytes)
  checkApart(trailer, output, sealedBytes)
}

/**
 * Expects `ciphertext` to hold at least a tag.
 *
 * @throws RangeError for a nonce, a length, a capacity or an overlap that opening cannot work with
 */
export function checkOpenBounds(
  nonce: Uint8Array,
  additionalData: Uint8Array,
  ciphertext: Uint8Array,
  output: Uint8Array,
): void {
  checkNonce(nonce)
  checkTextLength('Additional data', additionalData.length)
  const openedBytes = ciphertext.length - TAG_BYTES
  checkTextLength('The ciphertext', openedBytes)
  checkCapacity(openedBytes, output.length)
  checkOverlap(ciphertext, ciphertext.length, output, openedBytes)
}

function checkNonce(nonce: Uint8Array): void {
  if (nonce.length === NONCE_BYTES) return
  throw new RangeError(`The nonce has ${nonce.length} bytes, expected ${NONCE_BYTES}`)
}

function checkTextLength(what: string, length: number): void {
  if (length >= 0 && length <= MAX_TEXT_BYTES) return
  throw new RangeError(`${what} has ${length} bytes, expected 0 to ${MAX_TEXT_BYTES}`)
}

function checkCapacity(needed: number, capacity: number): void {
  if (capacity >= needed) return
  throw new RangeError(`The output holds ${capacity} bytes, but ${needed} are written`)
}

/** What is written before it is read must not be what is read. */
function checkApart(input: Uint8Array, output: Uint8Array, outputBytes: number): void {
  if (input.buffer !== output.buffer) return
  const distance = output.byteOffset - input.byteOffset
  if (distance >= input.length || -distance >= outputBytes) return
  throw new RangeError(`The output begins ${distance} bytes from the input and overlaps it`)
}

/** Equal addresses are fine, disjoint ranges are fine; in between a cipher would read what it has overwritten. */
function checkOverlap(input: Uint8Array, inputBytes: number, output: Uint8Array, outputBytes: number): void {
  if (input.buffer !== output.buffer) return
  const distance = output.byteOffset - input.byteOffset
  if (distance === 0 || distance >= inputBytes || -distance >= outputBytes) return
  throw new RangeError(`The output begins ${distance} bytes from the input and overlaps it`)
}
