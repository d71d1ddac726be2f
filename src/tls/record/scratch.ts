/**
 * Memory for what is sealed and opened, lent for the length of a call: records are made and read without allocating. A thread has
 * one piece; whoever needs a second meanwhile, because a handler of one connection uses another, gets a new one.
 */

/** A delivery of a transport (128 KiB), as records of any size, fits. */
export const SCRATCH_BYTES: number = 160 * 1024

let spare: Uint8Array | undefined

/** At least `bytes`, with anything in it. Whoever does not return it loses nothing but time. */
export function borrowScratch(bytes: number): Uint8Array {
  if (bytes > SCRATCH_BYTES) return new Uint8Array(bytes)
  const scratch = spare ?? new Uint8Array(SCRATCH_BYTES)
  spare = undefined
  return scratch
}

/** Nobody may look at `scratch` any more. */
export function returnScratch(scratch: Uint8Array): void {
  if (scratch.length === SCRATCH_BYTES) spare = scratch
}
