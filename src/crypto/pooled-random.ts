import { randomFillSync } from 'node:crypto'

/** Asking OpenSSL for a few bytes costs as much as asking for these. */
const POOL_BYTES = 4096

/** Longer requests are served from the source itself. */
const MAX_POOLED_BYTES = 256

/**
 * Random bytes from a supply of OpenSSL's that is drawn in advance. A byte is given out once and wiped from the supply as
 * it is. Each thread has a supply of its own; whoever clones a running machine clones it, as the generator behind it.
 */
export function pooledRandom(): (length: number) => Uint8Array<ArrayBuffer> {
  const pool = new Uint8Array(POOL_BYTES)
  let used = POOL_BYTES
  return (length) => {
    if (length > MAX_POOLED_BYTES) return randomFillSync(new Uint8Array(length))
    if (used + length > POOL_BYTES) {
      randomFillSync(pool)
      used = 0
    }
    const bytes = pool.slice(used, used + length)
    pool.fill(0, used, used + length)
    used += length
    return bytes
  }
}
