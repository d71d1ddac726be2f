/** Signed tokens: JWS in its compact form (RFC 7515, RFC 7518), and keys for them as JWK (RFC 7517). Verification only. */
import { concat, utf8 } from '../bytes/bytes.ts'
import { DER_SEQUENCE, encodeElement, encodeUnsigned } from './der.ts'
import { CryptoError } from './errors.ts'
import { EC_FIELD_BYTES, encodeRsaSpki, encodeSpki } from './key-encoding.ts'
import type { CryptoProvider, KeyKind, PublicKey, SignatureParameters } from './provider.ts'

/** Asymmetric ones only: `none`, and keys that the verifier could sign with, have no place here (RFC 8725 §3.1, §3.2). */
export const JWS_ALGORITHMS = ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'] as const

export type JwsAlgorithm = (typeof JWS_ALGORITHMS)[number]

/** What an algorithm asks of the key and of the signature. */
const ALGORITHMS: Readonly<
  Record<JwsAlgorithm, { readonly kind: KeyKind; readonly parameters: SignatureParameters }>
> = {
  ES256: { kind: 'ec-p256', parameters: { kind: 'ecdsa', hash: 'sha256' } },
  ES384: { kind: 'ec-p384', parameters: { kind: 'ecdsa', hash: 'sha384' } },
  EdDSA: { kind: 'ed25519', parameters: { kind: 'ed25519' } },
  PS256: { kind: 'rsa', parameters: { kind: 'rsa-pss', hash: 'sha256' } },
  RS256: { kind: 'rsa', parameters: { kind: 'rsa-pkcs1', hash: 'sha256' } },
}

/** Tokens of Kubernetes have about 1 kB, those of build systems 2 kB. */
const MAX_TOKEN_CHARACTERS = 16 * 1024

/** RFC 7518 §3.3 */
const MIN_RSA_BITS = 2048

/** A token that is well-formed, and not yet believed. */
export interface Jws {
  /** As it stands there: it may be none that is known. */
  readonly algorithm: string
  /** Names the key that signed. */
  readonly keyId: string | undefined
  readonly claims: Readonly<Record<string, unknown>>
  readonly signed: Uint8Array
  readonly signature: Uint8Array
}

/** A public key that signs tokens. */
export interface JwsKey {
  readonly keyId: string | undefined
  readonly key: PublicKey
  /** @default any that suits the key */
  readonly algorithm: string | undefined
}

/** @throws CryptoError CRYPTO_JWS when the text is no token with JSON claims */
export function parseJws(text: string): Jws {
  if (text.length > MAX_TOKEN_CHARACTERS)
    throw malformed(`has ${text.length} characters, and at most ${MAX_TOKEN_CHARACTERS} are accepted`)
  const parts = text.split('.')
  const [header, payload, signature] = parts
  if (header === undefined || payload === undefined || signature === undefined || parts.length !== 3)
    throw malformed(`has ${parts.length} parts, expected 3`)
  const { alg, kid, crit } = jsonObject('header', header)
  if (typeof alg !== 'string') throw malformed('has no algorithm')
  if (kid !== undefined && typeof kid !== 'string') throw malformed('has a key id that is no text')
  // RFC 7515 §4.1.11: what must be understood, and is not.
  if (crit !== undefined) throw malformed('demands that extensions be understood')
  return {
    algorithm: alg,
    keyId: kid,
    claims: jsonObject('payload', payload),
    signed: utf8(`${header}.${payload}`),
    signature: base64Url('signature', signature),
  }
}

export function isJwsAlgorithm(text: string): text is JwsAlgorithm {
  return Object.hasOwn(ALGORITHMS, text)
}

/** Whether a key can have made signatures of this algorithm. */
export function suits({ key, algorithm: only }: JwsKey, algorithm: JwsAlgorithm): boolean {
  return key.kind === ALGORITHMS[algorithm].kind && (only === undefined || only === algorithm)
}

/** Whether the token is signed by this key, with the algorithm that it says and that suits the key. */
export function verifyJws({ algorithm, signed, signature }: Jws, key: JwsKey): boolean {
  if (!isJwsAlgorithm(algorithm) || !suits(key, algorithm)) return false
  const { kind, parameters } = ALGORITHMS[algorithm]
  if (kind !== 'ec-p256' && kind !== 'ec-p384') return key.key.verify(parameters, signed, signature)
  // RFC 7518 §3.4: both numbers in full length, one after the other.
  const bytes = EC_FIELD_BYTES[kind]
  if (signature.length !== 2 * bytes) return false
  const der = encodeElement(
    DER_SEQUENCE,
    ...[signature.subarray(0, bytes), signature.subarray(bytes)].map((number) =>
      encodeUnsigned(withoutZeros(number)),
    ),
  )
  return key.key.verify(parameters, signed, der)
}

/**
 * The keys of a JWK set that can verify tokens. Others, for encryption or of kinds that are not known, are passed over (RFC
 * 7517 §5).
 *
 * @throws CryptoError CRYPTO_JWS when the text is no JWK set, or has a key that is broken
 */
export function parseJwks(text: string, crypto: CryptoProvider): readonly JwsKey[] {
  const { keys } = parseJsonObject('key set', text)
  if (!Array.isArray(keys)) throw new CryptoError('CRYPTO_JWS', 'The key set has no list of keys')
  return keys.flatMap((value: unknown, place) => {
    try {
      const key = importJwk(Object(value) as Jwk, crypto)
      return key === undefined ? [] : [key]
    } catch (cause) {
      if (!(cause instanceof CryptoError)) throw cause
      throw new CryptoError('CRYPTO_JWS', `Key ${place} of the key set cannot be used: ${cause.message}`, {
        cause,
      })
    }
  })
}

type Jwk = Readonly<
  Partial<Record<'kty' | 'use' | 'key_ops' | 'kid' | 'alg' | 'crv' | 'x' | 'y' | 'n' | 'e', unknown>>
>

function importJwk(jwk: Jwk, crypto: CryptoProvider): JwsKey | undefined {
  const { use = 'sig', key_ops: operations, kid, alg } = jwk
  if (use !== 'sig' || (Array.isArray(operations) && !operations.includes('verify'))) return undefined
  const spki = spkiOf(jwk)
  if (spki === undefined) return undefined
  const key = crypto.importPublicKey(spki)
  if (key.kind === 'rsa' && key.bits < MIN_RSA_BITS)
    throw new CryptoError(
      'CRYPTO_JWS',
      `It is an RSA key of ${key.bits} bits, expected at least ${MIN_RSA_BITS}`,
    )
  return {
    keyId: typeof kid === 'string' ? kid : undefined,
    key,
    algorithm: typeof alg === 'string' ? alg : undefined,
  }
}

/** RFC 7518 §6, RFC 8037 §2; undefined for what is not known. */
function spkiOf({ kty, crv, x, y, n, e }: Jwk): Uint8Array | undefined {
  switch (kty) {
    case 'EC': {
      const kind = crv === 'P-256' ? 'ec-p256' : crv === 'P-384' ? 'ec-p384' : undefined
      if (kind === undefined) return undefined
      const [left, right] = [base64Url('x', x), base64Url('y', y)]
      if (left.length !== EC_FIELD_BYTES[kind] || right.length !== EC_FIELD_BYTES[kind])
        throw malformed('has a point that is not of its curve')
      return encodeSpki(kind, concat(Uint8Array.of(0x04), left, right))
    }
    case 'OKP':
      return crv === 'Ed25519' ? encodeSpki('ed25519', base64Url('x', x)) : undefined
    case 'RSA': {
      const [modulus, exponent] = [base64Url('n', n), base64Url('e', e)].map(withoutZeros)
      return encodeRsaSpki({ kind: 'rsa', modulus: modulus!, exponent: exponent! })
    }
    default:
      return undefined
  }
}

function jsonObject(field: string, text: string): Readonly<Record<string, unknown>> {
  let json: string
  try {
    json = new TextDecoder('utf-8', { fatal: true }).decode(base64Url(field, text))
  } catch (cause) {
    if (cause instanceof CryptoError) throw cause
    throw malformed(`has a ${field} that is not UTF-8`, cause)
  }
  return parseJsonObject(`token's ${field}`, json)
}

function parseJsonObject(what: string, json: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new CryptoError('CRYPTO_JWS', `The ${what} is not JSON`, { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>
  throw new CryptoError('CRYPTO_JWS', `The ${what} is no JSON object`)
}

/** RFC 7515 §2: without padding, and without bits that mean nothing, so that a token has one form. */
function base64Url(field: string, text: unknown): Uint8Array {
  if (typeof text !== 'string' || !/^[A-Za-z0-9_-]*$/.test(text))
    throw malformed(`has a ${field} that is not base64url`)
  try {
    // Strict about the last bits, and then about padding too.
    return Uint8Array.fromBase64(text + '='.repeat((4 - (text.length % 4)) % 4), {
      alphabet: 'base64url',
      lastChunkHandling: 'strict',
    })
  } catch (cause) {
    throw malformed(`has a ${field} that is not base64url`, cause)
  }
}

function withoutZeros(number: Uint8Array): Uint8Array {
  const first = number.findIndex((byte) => byte !== 0)
  return first === -1 ? new Uint8Array() : number.subarray(first)
}

function malformed(problem: string, cause?: unknown): CryptoError {
  return new CryptoError('CRYPTO_JWS', `The token ${problem}`, { cause })
}
