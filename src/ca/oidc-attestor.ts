import { expandIdTemplate } from '../config/id-template.ts'
import type { JwsAlgorithm } from '../crypto/jws.ts'
import { SpiffeId } from '../identity/spiffe-id.ts'
import { checkAlgorithm, checkSignature, parseToken } from '../identity/token.ts'
import { checkClaims, type Claims } from '../identity/token-claims.ts'
import type { AttestedCaller, Attestor, Evidence } from './attestation.ts'
import { CaError } from './errors.ts'
import type { KeySet } from './key-set.ts'
import { refusingTokens } from './refusing-tokens.ts'

/** An issuer whose word is taken. */
export interface TrustedIssuer {
  /** As tokens have it in `iss`. */
  readonly issuer: string
  /** What tokens must be for. */
  readonly audience: string
  readonly algorithms: readonly JwsAlgorithm[]
  readonly keys: Pick<KeySet, 'find'>
  /** Makes a SPIFFE ID of claims (id-template.ts). */
  readonly spiffeId: string
  /** What tokens must claim beside. */
  readonly claims: Readonly<Record<string, string>>
}

/** So much of a subject goes into the journal: OpenID Connect Core §2 allows no more. */
const MAX_SUBJECT_CHARACTERS = 255

/** Proves a caller by a signed token (RFC 7519, RFC 8725) of an issuer that the operator trusts. */
export class OidcAttestor implements Attestor<'oidc'> {
  readonly #issuers: ReadonlyMap<string, TrustedIssuer>
  readonly #clockSkewMs: number

  constructor({
    issuers,
    clockSkewMs,
  }: {
    readonly issuers: readonly TrustedIssuer[]
    readonly clockSkewMs: number
  }) {
    this.#issuers = new Map(issuers.map((issuer) => [issuer.issuer, issuer]))
    this.#clockSkewMs = clockSkewMs
  }

  /** Whether tokens with this `iss` are for it to judge. */
  trusts(issuer: unknown): boolean {
    return typeof issuer === 'string' && this.#issuers.has(issuer)
  }

  /** @throws CaError CA_TOKEN_…, CA_ATTESTATION_UNAVAILABLE */
  async attest(
    { token }: Extract<Evidence, { kind: 'oidc' }>,
    { nowMs }: { readonly nowMs: number },
  ): Promise<AttestedCaller> {
    const jws = refusingTokens(() => parseToken(token))
    const { iss, sub } = jws.claims
    const issuer = typeof iss === 'string' ? this.#issuers.get(iss) : undefined
    if (issuer === undefined)
      throw new CaError(
        'CA_TOKEN_ISSUER',
        `The token comes from ${JSON.stringify(iss)}, which is not trusted`,
      )
    // First what costs nothing: a token that cannot be good makes nobody fetch keys.
    refusingTokens(() => checkAlgorithm(jws, issuer))
    const keys = await issuer.keys.find(jws.keyId, nowMs)
    refusingTokens(() => {
      checkSignature(jws, issuer, keys)
      checkClaims(jws.claims, { nowMs, clockSkewMs: this.#clockSkewMs, audiences: [issuer.audience] })
    })
    checkRequired(jws.claims, issuer.claims)
    const subject = JSON.stringify(String(sub).slice(0, MAX_SUBJECT_CHARACTERS))
    return { id: identityOf(jws.claims, issuer), proof: `oidc:${issuer.issuer} ${subject}` }
  }
}

function checkRequired(claims: Claims, required: Readonly<Record<string, string>>): void {
  for (const [name, wanted] of Object.entries(required)) {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined
    if (value !== wanted)
      throw new CaError(
        'CA_TOKEN_CLAIMS',
        `The token's ${name} is ${JSON.stringify(value)}, expected ${JSON.stringify(wanted)}`,
      )
  }
}

function identityOf(claims: Claims, { spiffeId }: TrustedIssuer): SpiffeId {
  const expanded = expandIdTemplate(spiffeId, claims)
  if ('problem' in expanded)
    throw new CaError('CA_TOKEN_CLAIMS', `The token proves no identity ${spiffeId}: ${expanded.problem}`)
  return SpiffeId.parse(expanded.id)
}
