import { Writer } from '../bytes/writer.ts'
import { HASH_BYTES, type CryptoProvider, type HashName } from './provider.ts'

const NOTHING: Uint8Array = new Uint8Array(0)

/** HKDF-Extract: a pseudorandom key of the hash's length (RFC 5869 §2.2). */
export function hkdfExtract(
  crypto: CryptoProvider,
  hash: HashName,
  salt: Uint8Array,
  inputKeyingMaterial: Uint8Array,
): Uint8Array {
  // HMAC fills its key up with zeros, so that no salt and a salt of zeros are the same.
  return crypto.hmac(hash, salt, inputKeyingMaterial)
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
  if (length <= blockBytes)
    return hkdfExpandOnce(crypto, hash, pseudorandomKey, blockInput(NOTHING, info, 1), length)
  const output = new Uint8Array(length)
  let block = NOTHING
  for (let counter = 1, offset = 0; offset < length; counter++, offset += blockBytes) {
    block = nextBlock(crypto, hash, pseudorandomKey, { block, info, counter })
    const end = Math.min(offset + blockBytes, length)
    for (let i = offset; i < end; i++) output[i] = block[i - offset]!
  }
  block.fill(0)
  return output
}

/**
 * HKDF-Expand for what fits one block of the hash.
 *
 * @param input the info, and behind it the number of the first block, which is 1
 */
export function hkdfExpandOnce(
  crypto: CryptoProvider,
  hash: HashName,
  pseudorandomKey: Uint8Array,
  input: Uint8Array,
  length: number,
): Uint8Array {
  const block = crypto.hmac(hash, pseudorandomKey, input)
  if (length === block.length) return block
  const output = new Uint8Array(length)
  for (let i = 0; i < length; i++) output[i] = block[i]!
  block.fill(0)
  return output
}

/** The block after `block`, which is wiped. */
function nextBlock(
  crypto: CryptoProvider,
  hash: HashName,
  pseudorandomKey: Uint8Array,
  {
    block,
    info,
    counter,
  }: { readonly block: Uint8Array; readonly info: Uint8Array; readonly counter: number },
): Uint8Array {
  const input = blockInput(block, info, counter)
  const next = crypto.hmac(hash, pseudorandomKey, input)
  input.fill(0)
  block.fill(0)
  return next
}

/** What the block with this number is the HMAC of; in memory that the next call uses again, and that is to be wiped. */
function blockInput(before: Uint8Array, info: Uint8Array, counter: number): Uint8Array {
  return inputs.restart().bytes(before).bytes(info).uint8(counter).written
}

const inputs = new Writer()
