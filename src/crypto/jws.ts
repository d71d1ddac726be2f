/** Signed tokens: JWS in its compact form (RFC 7515, RFC 7518), and keys for them as JWK (RFC 7517). */
import { utf8 } from '../bytes/bytes.ts'
import { DER_SEQUENCE, encodeElement, encodeUnsigned, readSequence, unsignedOf } from './der.ts'
import { CryptoError } from './errors.ts'
import { decodeBase64Url, encodeBase64Url, parseJsonObject } from './jose-encoding.ts'
import { type Jwk, readJwk, withoutZeros } from './jwk.ts'
import { EC_FIELD_BYTES } from './key-encoding.ts'
import type { CryptoProvider, KeyKind, PrivateKey, PublicKey, SignatureParameters } from './provider.ts'

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
    signature: decodeBase64Url(signature, "The token's signature"),
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
 * Signs claims with ES256 (RFC 7518 §3.4), which every library knows and which makes the shortest tokens.
 *
 * @param key of P-256
 */
export function signJws(
  claims: Readonly<Record<string, unknown>>,
  { key, keyId }: { readonly key: PrivateKey; readonly keyId: string },
): string {
  if (key.kind !== 'ec-p256') throw new TypeError(`ES256 takes a key of P-256, got ${key.kind}`)
  const parts = [{ alg: 'ES256', kid: keyId, typ: 'JWT' }, claims]
  const signed = parts.map((part) => encodeBase64Url(utf8(JSON.stringify(part)))).join('.')
  const numbers = readSequence(key.sign(ALGORITHMS.ES256.parameters, utf8(signed)), 'signature')
  const bytes = EC_FIELD_BYTES[key.kind]
  const signature = new Uint8Array(2 * bytes)
  for (const [place, element] of numbers.entries()) {
    const number = unsignedOf(element, 'number')
    signature.set(number, (place + 1) * bytes - number.length)
  }
  return `${signed}.${encodeBase64Url(signature)}`
}

/**
 * The keys of a JWK set that can verify tokens. Others, for encryption or of kinds that are not known, are passed over (RFC
 * 7517 §5).
 *
 * @throws CryptoError CRYPTO_JWS when the text is no JWK set, or has a key that is broken
 */
export function parseJwks(text: string, crypto: CryptoProvider): readonly JwsKey[] {
  const { keys } = parseJsonObject(text, 'The key set')
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

function importJwk(jwk: Jwk, crypto: CryptoProvider): JwsKey | undefined {
  const { use = 'sig', key_ops: operations } = jwk
  if (use !== 'sig' || (Array.isArray(operations) && !operations.includes('verify'))) return undefined
  return readJwsKey(jwk, crypto)
}

/**
 * A public key that signs tokens, whatever its `use` is; undefined for a kind that is not known.
 *
 * @throws CryptoError CRYPTO_JWS, CRYPTO_INVALID_KEY
 */
export function readJwsKey(jwk: Jwk, crypto: CryptoProvider): JwsKey | undefined {
  const { kid, alg } = jwk
  const key = readJwk(jwk, crypto)
  if (key === undefined) return undefined
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

function jsonObject(field: string, text: string): Readonly<Record<string, unknown>> {
  let json: string
  try {
    json = new TextDecoder('utf-8', { fatal: true }).decode(decodeBase64Url(text, `The token's ${field}`))
  } catch (cause) {
    if (cause instanceof CryptoError) throw cause
    throw malformed(`has a ${field} that is not UTF-8`, cause)
  }
  return parseJsonObject(json, `The token's ${field}`)
}

function malformed(problem: string, cause?: unknown): CryptoError {
  return new CryptoError('CRYPTO_JWS', `The token ${problem}`, { cause })
}
