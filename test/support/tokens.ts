/** Signed tokens by node:crypto, which is how other programs would make them. */
import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

export type SigningAlgorithm = 'ES256' | 'ES384' | 'EdDSA' | 'PS256' | 'RS256'

/** Somebody who signs tokens. */
export interface TokenSigner {
  readonly keyId: string
  readonly algorithm: SigningAlgorithm
  readonly privateKey: KeyObject
  /** As a key set has it. */
  readonly jwk: Readonly<Record<string, unknown>>
}

export function tokenSigner(algorithm: SigningAlgorithm, keyId: string, rsaBits = 2048): TokenSigner {
  const { publicKey, privateKey } = newKeyPair(algorithm, rsaBits)
  return {
    keyId,
    algorithm,
    privateKey,
    jwk: { ...publicKey.export({ format: 'jwk' }), kid: keyId, alg: algorithm, use: 'sig' },
  }
}

/** A key set with the keys of these. */
export function jwksOf(...signers: readonly TokenSigner[]): string {
  return JSON.stringify({ keys: signers.map(({ jwk }) => jwk) })
}

/** A token with these claims; `header` replaces what it would say otherwise. */
export function signToken(
  { algorithm, keyId, privateKey }: TokenSigner,
  claims: unknown,
  header: Readonly<Record<string, unknown>> = {},
): string {
  const signed = unsigned({ alg: algorithm, kid: keyId, typ: 'JWT', ...header }, claims)
  const hash = algorithm === 'ES384' ? 'sha384' : algorithm === 'EdDSA' ? null : 'sha256'
  const key =
    algorithm === 'PS256'
      ? { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
      : { key: privateKey, dsaEncoding: 'ieee-p1363' as const }
  return `${signed}.${sign(hash, Buffer.from(signed), key).toString('base64url')}`
}

/** A token that nobody signed. */
export function unsignedToken(claims: unknown, alg = 'none'): string {
  return `${unsigned({ alg }, claims)}.`
}

/** A token "signed" with what everybody knows: the public key as a shared secret. */
export function hmacToken(secret: string, claims: unknown): string {
  const signed = unsigned({ alg: 'HS256' }, claims)
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

function unsigned(header: unknown, claims: unknown): string {
  return [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
}

/** The overloads of node:crypto take no union. */
function newKeyPair(algorithm: SigningAlgorithm, rsaBits: number) {
  switch (algorithm) {
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' })
    case 'ES384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' })
    case 'EdDSA':
      return generateKeyPairSync('ed25519')
    case 'PS256':
    case 'RS256':
      return generateKeyPairSync('rsa', { modulusLength: rsaBits })
  }
}
