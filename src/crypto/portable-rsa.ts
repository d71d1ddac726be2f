import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js'

import { concat, equalBytes } from '../bytes/bytes.ts'
import { bitsOf, type RsaPublicKeyParts } from './key-encoding.ts'
import { HASH_BYTES, type HashName } from './provider.ts'

const HASHES = { sha256, sha384, sha512 } as const

/** The DER of DigestInfo up to the hash itself (RFC 8017 §9.2, note 1). */
const DIGEST_INFO: Readonly<Record<HashName, Uint8Array>> = {
  sha256: Uint8Array.fromHex('3031300d060960864801650304020105000420'),
  sha384: Uint8Array.fromHex('3041300d060960864801650304020205000430'),
  sha512: Uint8Array.fromHex('3051300d060960864801650304020305000440'),
}

const PSS_TRAILER = 0xbc

/** RSASSA-PKCS1-v1_5 verification (RFC 8017 §8.2.2): by comparison with the one encoding that is right. */
export function verifyRsaPkcs1(
  key: RsaPublicKeyParts,
  hash: HashName,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const encoded = recoverEncoded(key, signature)
  if (encoded === undefined) return false
  const digestInfo = concat(DIGEST_INFO[hash], HASHES[hash](message))
  const padding = new Uint8Array(encoded.length - digestInfo.length - 3).fill(0xff)
  return equalBytes(encoded, concat(Uint8Array.of(0, 1), padding, Uint8Array.of(0), digestInfo))
}

/** RSASSA-PSS verification with MGF1 over the same hash and a salt of its length (RFC 8017 §8.1.2, §9.1.2). */
export function verifyRsaPss(
  key: RsaPublicKeyParts,
  hash: HashName,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const whole = recoverEncoded(key, signature)
  if (whole === undefined) return false
  // The encoded message has one bit less than the modulus: where that makes a byte, it must be zero.
  const encodedBits = bitsOf(key) - 1
  const encodedBytes = Math.ceil(encodedBits / 8)
  if (encodedBytes < whole.length && whole[0] !== 0) return false
  const encoded = whole.subarray(whole.length - encodedBytes)

  const hashBytes = HASH_BYTES[hash]
  const maskedBytes = encodedBytes - hashBytes - 1
  const masked = encoded.subarray(0, maskedBytes)
  const claimed = encoded.subarray(maskedBytes, -1)
  const firstByteMask = 0xff >> (8 * encodedBytes - encodedBits)
  if (encoded.at(-1) !== PSS_TRAILER || (masked[0]! & ~firstByteMask) !== 0) return false

  const block = mgf1(hash, claimed, maskedBytes).map((byte, i) => byte ^ masked[i]!)
  block[0]! &= firstByteMask
  const separator = maskedBytes - hashBytes - 1
  if (block[separator] !== 1 || block.subarray(0, separator).some((byte) => byte !== 0)) return false
  const salt = block.subarray(separator + 1)
  return equalBytes(claimed, HASHES[hash](concat(new Uint8Array(8), HASHES[hash](message), salt)))
}

/** RSAVP1 (RFC 8017 §5.2.2), as bytes of the modulus's length; nothing where the signature is out of range. */
function recoverEncoded(
  { modulus, exponent }: RsaPublicKeyParts,
  signature: Uint8Array,
): Uint8Array | undefined {
  if (signature.length !== modulus.length) return undefined
  const n = toBigInt(modulus)
  const s = toBigInt(signature)
  if (s >= n) return undefined
  const hex = power(s, toBigInt(exponent), n).toString(16)
  return Uint8Array.fromHex(hex.padStart(2 * modulus.length, '0'))
}

/** Square and multiply, in whatever time it takes: all of its inputs are public. */
function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (const bit of exponent.toString(2)) {
    result = (result * result) % modulus
    if (bit === '1') result = (result * base) % modulus
  }
  return result
}

/** RFC 8017 §B.2.1. */
function mgf1(hash: HashName, seed: Uint8Array, length: number): Uint8Array {
  const mask = new Uint8Array(length)
  const hashBytes = HASH_BYTES[hash]
  for (let offset = 0, counter = 0; offset < length; offset += hashBytes, counter++) {
    // A mask is shorter than a modulus: 255 blocks are never needed.
    const block = HASHES[hash](concat(seed, Uint8Array.of(0, 0, 0, counter)))
    mask.set(block.subarray(0, length - offset), offset)
  }
  return mask
}

function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytes.toHex()}`)
}
