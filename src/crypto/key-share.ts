import { CryptoError } from './errors.ts'
import type { GroupName } from './provider.ts'

/** The groups of the NIST curves. */
export type NistGroup = Extract<GroupName, `secp${string}`>

/** The uncompressed points of the NIST curves: one byte of form and two coordinates (RFC 8446 §4.2.8.2). */
const POINT_BYTES: Readonly<Record<NistGroup, number>> = {
  secp256r1: 65,
  secp384r1: 97,
  secp521r1: 133,
}

const UNCOMPRESSED = 0x04

/** @throws CryptoError CRYPTO_INVALID_KEY_SHARE */
export function checkShareLength(group: GroupName, share: Uint8Array, expected: number): void {
  if (share.length === expected) return
  throw new CryptoError(
    'CRYPTO_INVALID_KEY_SHARE',
    `The peer's ${group} share has ${share.length} bytes, expected ${expected}`,
  )
}

/** The form of a point; whether it lies on the curve is for others. @throws CryptoError CRYPTO_INVALID_KEY_SHARE */
export function checkUncompressedPoint(group: NistGroup, share: Uint8Array): void {
  checkShareLength(group, share, POINT_BYTES[group])
  if (share[0] === UNCOMPRESSED) return
  throw new CryptoError(
    'CRYPTO_INVALID_KEY_SHARE',
    `The peer's ${group} share has the form ${share[0]}, expected ${UNCOMPRESSED} (uncompressed)`,
  )
}

/** What `calculate` returns; what it throws becomes the peer's fault. @throws CryptoError CRYPTO_INVALID_KEY_SHARE */
export function refusingShare<T>(what: string, calculate: () => T): T {
  try {
    return calculate()
  } catch (cause) {
    throw invalidShare(what, cause)
  }
}

/** For a share that leads nowhere. */
export function invalidShare(what: string, cause?: unknown): CryptoError {
  return new CryptoError(
    'CRYPTO_INVALID_KEY_SHARE',
    `The peer's ${what} share is not a valid public value, or leads to a forbidden secret`,
    { cause },
  )
}

/** `complete`, but the second call throws: an ephemeral key that is used twice is not one. */
export function singleUse(
  complete: (peerShare: Uint8Array) => Uint8Array,
): (peerShare: Uint8Array) => Uint8Array {
  let used = false
  return (peerShare) => {
    if (used) throw new ReferenceError('The key agreement was completed before')
    used = true
    return complete(peerShare)
  }
}

/** The scalars of x25519 and secp256r1. */
const SCALAR_BYTES = 32

/** What `read` makes of a scalar of the right length. @throws CryptoError CRYPTO_INVALID_KEY */
export function refusingScalar<T>(group: GroupName, scalar: Uint8Array, read: () => T): T {
  if (scalar.length !== SCALAR_BYTES) {
    throw new CryptoError(
      'CRYPTO_INVALID_KEY',
      `The ${group} key has ${scalar.length} bytes, expected ${SCALAR_BYTES}`,
    )
  }
  try {
    return read()
  } catch (cause) {
    throw new CryptoError('CRYPTO_INVALID_KEY', `The ${group} key is not a scalar of its group`, { cause })
  }
}
