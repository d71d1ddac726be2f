/** ML-DSA keys (FIPS 204) as X.509 has them (RFC 9881). */
import {
  contentsOf,
  DER_OCTET_STRING,
  DER_SEQUENCE,
  type DerElement,
  encodeElement,
  readElements,
  refuseMore,
} from './der.ts'
import { CryptoError } from './errors.ts'
import type { KeyKind, MlDsaKind } from './provider.ts'

/** FIPS 204 §4, table 2. */
export const ML_DSA_BYTES: Readonly<
  Record<MlDsaKind, { readonly publicKey: number; readonly privateKey: number }>
> = {
  'ml-dsa-44': { publicKey: 1312, privateKey: 2560 },
  'ml-dsa-65': { publicKey: 1952, privateKey: 4032 },
  'ml-dsa-87': { publicKey: 2592, privateKey: 4896 },
}

/** What the key pair is generated from (FIPS 204 §6.1). */
const SEED_BYTES = 32

/** [0] of the CHOICE ML-DSA-PrivateKey, implicitly tagged (RFC 9881 §6). */
const TAG_SEED = 0x80

/** A private key: the seed, what the seed expands to, or both. */
export type MlDsaSecret =
  | { readonly seed: Uint8Array; readonly expanded?: Uint8Array }
  | { readonly seed?: undefined; readonly expanded: Uint8Array }

export function isMlDsa(kind: KeyKind): kind is MlDsaKind {
  return kind in ML_DSA_BYTES
}

/** @throws CryptoError CRYPTO_INVALID_KEY */
export function checkMlDsaPublicKey(kind: MlDsaKind, key: Uint8Array): Uint8Array {
  return checkLength(key, ML_DSA_BYTES[kind].publicKey, `${kind} public key`)
}

/** Reads the privateKey of PKCS#8. Whether seed and expansion belong together is for others. @throws CryptoError */
export function readMlDsaSecret(kind: MlDsaKind, octets: Uint8Array): MlDsaSecret {
  const [choice, ...more] = readElements(octets)
  refuseMore(more, 'ML-DSA-PrivateKey')
  if (choice?.tag === TAG_SEED) return { seed: seedOf(kind, choice.contents) }
  if (choice?.tag !== DER_SEQUENCE) return { expanded: expandedOf(kind, choice) }
  const [seed, expanded, ...others] = readElements(choice.contents)
  refuseMore(others, 'ML-DSA-PrivateKey')
  return {
    seed: seedOf(kind, contentsOf(seed, DER_OCTET_STRING, 'seed')),
    expanded: expandedOf(kind, expanded),
  }
}

/** The privateKey of PKCS#8, in the form that says all there is. */
export function encodeMlDsaSecret({ seed, expanded }: MlDsaSecret): Uint8Array<ArrayBuffer> {
  if (seed === undefined) return encodeElement(DER_OCTET_STRING, expanded)
  if (expanded === undefined) return encodeElement(TAG_SEED, seed)
  return encodeElement(
    DER_SEQUENCE,
    encodeElement(DER_OCTET_STRING, seed),
    encodeElement(DER_OCTET_STRING, expanded),
  )
}

function seedOf(kind: MlDsaKind, seed: Uint8Array): Uint8Array {
  return checkLength(seed, SEED_BYTES, `${kind} seed`)
}

function expandedOf(kind: MlDsaKind, element: DerElement | undefined): Uint8Array {
  const key = contentsOf(element, DER_OCTET_STRING, 'expandedKey')
  return checkLength(key, ML_DSA_BYTES[kind].privateKey, `${kind} private key`)
}

function checkLength(bytes: Uint8Array, expected: number, what: string): Uint8Array {
  if (bytes.length === expected) return bytes
  throw new CryptoError('CRYPTO_INVALID_KEY', `The ${what} has ${bytes.length} bytes, expected ${expected}`)
}
