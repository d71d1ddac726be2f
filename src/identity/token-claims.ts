/** What the claims of a token must be like, whoever judges its signature (RFC 7519 §4.1). */
import { TokenError } from './errors.ts'

/** The claims of a token. */
export type Claims = Readonly<Record<string, unknown>>

export interface ClaimRules {
  readonly nowMs: number
  /** How far the issuer's clock may be off. */
  readonly clockSkewMs: number
  /** Of these one at least must be among those the token is for; none: it may be for anybody. */
  readonly audiences: readonly string[]
}

/** @throws TokenError TOKEN_EXPIRED, TOKEN_NOT_YET_VALID, TOKEN_AUDIENCE, TOKEN_CLAIMS */
export function checkClaims(claims: Claims, { nowMs, clockSkewMs, audiences }: ClaimRules): void {
  const expiresAtMs = timeOf(claims, 'exp')
  // A token without an end is a password.
  if (expiresAtMs === undefined)
    throw new TokenError('TOKEN_CLAIMS', 'The token does not say when it expires')
  if (nowMs - clockSkewMs >= expiresAtMs)
    throw new TokenError('TOKEN_EXPIRED', `The token expired at ${text(expiresAtMs)}`)
  for (const name of ['nbf', 'iat'] as const) {
    const fromMs = timeOf(claims, name)
    if (fromMs !== undefined && nowMs + clockSkewMs < fromMs)
      throw new TokenError(
        'TOKEN_NOT_YET_VALID',
        `The token is valid from ${text(fromMs)} on, by its ${name}`,
      )
  }
  const meant = audiencesOf(claims)
  if (audiences.length > 0 && !audiences.some((audience) => meant.includes(audience)))
    throw new TokenError(
      'TOKEN_AUDIENCE',
      `The token is for ${JSON.stringify(meant)}, and not for ${audiences.map((name) => JSON.stringify(name)).join(' or ')}`,
    )
}

function audiencesOf({ aud }: Claims): readonly unknown[] {
  return Array.isArray(aud) ? aud : aud === undefined ? [] : [aud]
}

/** NumericDate of RFC 7519 §2, in milliseconds. */
function timeOf(claims: Claims, name: 'exp' | 'nbf' | 'iat'): number | undefined {
  const seconds = claims[name]
  if (seconds === undefined) return undefined
  // Beyond what a Date can say there is no time that anybody means.
  if (typeof seconds === 'number' && Math.abs(seconds) <= 8_640_000_000_000) return seconds * 1000
  throw new TokenError('TOKEN_CLAIMS', `The token's ${name} is no time`)
}

function text(ms: number): string {
  return new Date(ms).toISOString()
}
