import { HASH_BYTES, type CryptoProvider, type HashName } from './provider.ts'

const NOTHING: Uint8Array = new Uint8Array(0)

/** HKDF-Extract: a pseudorandom key of the hash's length (RFC 5869 §2.2). An empty salt is a salt of zeros. */
export function hkdfExtract(
  crypto: CryptoProvider,
  hash: HashName,
  salt: Uint8Array,
  inputKeyingMaterial: Uint8Array,
): Uint8Array {
  return crypto.hmac(hash, salt.length === 0 ? new Uint8Array(HASH_BYTES[hash]) : salt, inputKeyingMaterial)
}

/**
 * HKDF-Expand: `length` bytes of output keying material (RFC 5869 §2.3).
 *
 * @throws RangeError when more than 255 blocks are asked for
 */
export function hkdfExpand(
  crypto: CryptoProvider,
  hash: HashName,
  pseudorandomKey: Uint8Array,
  info: Uint8Array,
  length: number,
): Uint8Array {
  const blockBytes = HASH_BYTES[hash]
  if (length > 255 * blockBytes)
    throw new RangeError(`HKDF-Expand yields at most ${255 * blockBytes} bytes, asked for ${length}`)
  // All that TLS asks for but exported keying material fits one block.
  if (length <= blockBytes) {
    const block = expandedBlock(crypto, hash, pseudorandomKey, { before: NOTHING, info, counter: 1 })
    if (length === blockBytes) return block
    const output = block.slice(0, length)
    block.fill(0)
    return output
  }
  const output = new Uint8Array(length)
  let block = NOTHING
  for (let counter = 1, offset = 0; offset < length; counter++, offset += blockBytes) {
    const next = expandedBlock(crypto, hash, pseudorandomKey, { before: block, info, counter })
    block.fill(0)
    block = next
    output.set(block.subarray(0, Math.min(blockBytes, length - offset)), offset)
  }
  block.fill(0)
  return output
}

function expandedBlock(
  crypto: CryptoProvider,
  hash: HashName,
  pseudorandomKey: Uint8Array,
  {
    before,
    info,
    counter,
  }: { readonly before: Uint8Array; readonly info: Uint8Array; readonly counter: number },
): Uint8Array {
  const input = new Uint8Array(before.length + info.length + 1)
  input.set(before)
  input.set(info, before.length)
  input[input.length - 1] = counter
  const block = crypto.hmac(hash, pseudorandomKey, input)
  input.fill(0)
  return block
}
