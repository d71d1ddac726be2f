/** What the claims of a token must be like, whoever judges its signature (RFC 7519 §4.1). */
import { CaError } from './errors.ts'

/** The claims of a token. */
export type Claims = Readonly<Record<string, unknown>>

export interface ClaimRules {
  readonly nowMs: number
  /** How far the issuer's clock may be off. */
  readonly clockSkewMs: number
  readonly audience: string
}

/** @throws CaError CA_TOKEN_EXPIRED, CA_TOKEN_NOT_YET_VALID, CA_TOKEN_AUDIENCE, CA_TOKEN_CLAIMS */
export function checkClaims(claims: Claims, { nowMs, clockSkewMs, audience }: ClaimRules): void {
  const expiresAtMs = timeOf(claims, 'exp')
  // A token without an end is a password.
  if (expiresAtMs === undefined)
    throw new CaError('CA_TOKEN_CLAIMS', 'The token does not say when it expires')
  if (nowMs - clockSkewMs >= expiresAtMs)
    throw new CaError('CA_TOKEN_EXPIRED', `The token expired at ${text(expiresAtMs)}`)
  for (const name of ['nbf', 'iat'] as const) {
    const fromMs = timeOf(claims, name)
    if (fromMs !== undefined && nowMs + clockSkewMs < fromMs)
      throw new CaError(
        'CA_TOKEN_NOT_YET_VALID',
        `The token is valid from ${text(fromMs)} on, by its ${name}`,
      )
  }
  if (!audiencesOf(claims).includes(audience))
    throw new CaError(
      'CA_TOKEN_AUDIENCE',
      `The token is for ${JSON.stringify(audiencesOf(claims))}, and not for ${JSON.stringify(audience)}`,
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
  throw new CaError('CA_TOKEN_CLAIMS', `The token's ${name} is no time`)
}

function text(ms: number): string {
  return new Date(ms).toISOString()
}
