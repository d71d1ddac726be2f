/** JWT-SVIDs: the SPIFFE standard of that name. */
import type { JwsAlgorithm } from '../crypto/jws.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import { IdentityError, TokenError } from './errors.ts'
import { SpiffeId } from './spiffe-id.ts'
import { checkSignature, parseToken } from './token.ts'
import { checkClaims, type Claims } from './token-claims.ts'
import type { TrustBundles } from './trust-bundle.ts'

/** A token that holds. */
export interface JwtSvid {
  readonly id: SpiffeId
  readonly claims: Claims
}

export interface JwtSvidRules {
  /** Whom the token must be for. */
  readonly audience: string
  readonly bundles: TrustBundles
  readonly crypto: CryptoProvider
  readonly nowMs: number
}

/** Of those of JWT-SVID §3.1, what keys here can verify. */
const ALGORITHMS: readonly JwsAlgorithm[] = ['ES256', 'ES384', 'PS256', 'RS256']

/** Clocks differ, and a token that was just made must not be of the future. */
const CLOCK_SKEW_MS = 30_000

/**
 * Judges a token: signed by the trust domain that its subject names, for this audience, and not expired.
 *
 * @throws TokenError
 */
export function validateJwtSvid(text: string, { audience, bundles, crypto, nowMs }: JwtSvidRules): JwtSvid {
  const jws = parseToken(text)
  const id = subjectOf(jws.claims)
  const authorities = bundles.lookup(id.trustDomain)?.jwtAuthorities ?? []
  // JWT-SVID §5.1: the key is the one that the token names.
  if (jws.keyId === undefined) throw new TokenError('TOKEN_KEY', 'The token does not name its key')
  checkSignature(
    jws,
    { issuer: id.trustDomain, algorithms: ALGORITHMS },
    authorities
      .filter(({ keyId }) => keyId === jws.keyId)
      .map(({ keyId, spki }) => ({ keyId, key: crypto.importPublicKey(spki), algorithm: undefined })),
  )
  checkClaims(jws.claims, { nowMs, clockSkewMs: CLOCK_SKEW_MS, audiences: [audience] })
  return { id, claims: jws.claims }
}

function subjectOf({ sub }: Claims): SpiffeId {
  try {
    const id = SpiffeId.parse(String(sub))
    if (!id.isTrustDomain) return id
  } catch (cause) {
    if (!(cause instanceof IdentityError)) throw cause
    throw new TokenError('TOKEN_CLAIMS', `The token's subject is no SPIFFE ID: ${cause.message}`, { cause })
  }
  throw new TokenError('TOKEN_CLAIMS', "The token's subject is no workload")
}
