/** Public keys as JSON (RFC 7517, RFC 7518 §6, RFC 8037 §2). */
import { concat } from '../bytes/bytes.ts'
import { CryptoError } from './errors.ts'
import { decodeBase64Url, encodeBase64Url } from './jose-encoding.ts'
import { decodeSpki, EC_FIELD_BYTES, type EcKind, encodeRsaSpki, encodeSpki } from './key-encoding.ts'
import type { CryptoProvider, PublicKey } from './provider.ts'

/** A key with whatever stands beside it. */
export type Jwk = Readonly<Record<string, unknown>>

const CURVES: Readonly<Record<string, EcKind>> = {
  'P-256': 'ec-p256',
  'P-384': 'ec-p384',
  'P-521': 'ec-p521',
}

const SEC1_UNCOMPRESSED = Uint8Array.of(0x04)

/** The key; undefined for a kind that is not known. @throws CryptoError CRYPTO_JWS, CRYPTO_INVALID_KEY */
export function readJwk(jwk: Jwk, crypto: CryptoProvider): PublicKey | undefined {
  const spki = spkiOf(jwk)
  return spki && crypto.importPublicKey(spki)
}

/** The parameters that are the key, and no others. @throws CryptoError CRYPTO_UNSUPPORTED, CRYPTO_INVALID_KEY */
export function encodeJwk({ spki }: Pick<PublicKey, 'spki'>): Record<string, string> {
  const parts = decodeSpki(spki)
  switch (parts.kind) {
    case 'ec-p256':
    case 'ec-p384':
    case 'ec-p521': {
      const crv = Object.entries(CURVES).find(([, kind]) => kind === parts.kind)![0]
      const point = parts.point.subarray(SEC1_UNCOMPRESSED.length)
      const bytes = EC_FIELD_BYTES[parts.kind]
      const [x, y] = [point.subarray(0, bytes), point.subarray(bytes)].map(encodeBase64Url)
      return { kty: 'EC', crv, x: x!, y: y! }
    }
    case 'ed25519':
      return { kty: 'OKP', crv: 'Ed25519', x: encodeBase64Url(parts.point) }
    case 'rsa':
      return { kty: 'RSA', n: encodeBase64Url(parts.modulus), e: encodeBase64Url(parts.exponent) }
    case 'ml-dsa-44':
    case 'ml-dsa-65':
    case 'ml-dsa-87':
      return { kty: 'AKP', alg: parts.kind.toUpperCase(), pub: encodeBase64Url(parts.publicKey) }
  }
}

function spkiOf({ kty, crv, x, y, n, e }: Jwk): Uint8Array | undefined {
  switch (kty) {
    case 'EC': {
      const kind = typeof crv === 'string' && Object.hasOwn(CURVES, crv) ? CURVES[crv] : undefined
      if (kind === undefined) return undefined
      const [left, right] = [decodeBase64Url(x, "The key's x"), decodeBase64Url(y, "The key's y")]
      if (left.length !== EC_FIELD_BYTES[kind] || right.length !== EC_FIELD_BYTES[kind])
        throw new CryptoError('CRYPTO_JWS', 'The key has a point that is not of its curve')
      return encodeSpki(kind, concat(SEC1_UNCOMPRESSED, left, right))
    }
    case 'OKP':
      return crv === 'Ed25519' ? encodeSpki('ed25519', decodeBase64Url(x, "The key's x")) : undefined
    case 'RSA':
      return encodeRsaSpki({
        kind: 'rsa',
        modulus: withoutZeros(decodeBase64Url(n, "The key's n")),
        exponent: withoutZeros(decodeBase64Url(e, "The key's e")),
      })
    default:
      return undefined
  }
}

/** A big-endian number in its shortest form. */
export function withoutZeros(number: Uint8Array): Uint8Array {
  const first = number.findIndex((byte) => byte !== 0)
  return first === -1 ? new Uint8Array() : number.subarray(first)
}
