import type { RequestToken } from '../authz/request.ts'
import { utf8 } from '../bytes/bytes.ts'
import {
  keySetName,
  keySetSource,
  type JwtRule,
  type RequestAuthentication,
} from '../config/request-authentication-config.ts'
import { parseJwks, type JwsKey } from '../crypto/jws.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import { TokenError } from '../identity/errors.ts'
import { checkSignature, parseToken } from '../identity/token.ts'
import { checkClaims, type Claims } from '../identity/token-claims.ts'
import {
  type CarriedToken,
  placeKey,
  placesOf,
  type RequestHeaders,
  type TokenPlace,
  tokensIn,
} from './request-tokens.ts'

/** The key sets that issuers publish, as JSON, by the names of keySetName. */
export type KeySets = ReadonlyMap<string, string>

/** What a request proves beside its connection. */
export type RequestProof =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'token'
      readonly token: RequestToken
      /** Every place that the token lies in. */
      readonly carried: readonly CarriedToken[]
      /** Whether the application is to see the token. */
      readonly isForwarded: boolean
    }
  | { readonly kind: 'refused'; readonly error: TokenError }

/** How far the clocks of issuers may be off. */
const CLOCK_SKEW_MS = 60_000

/** Tokens whose signature was verified and need not be verified again: more than a workload meets at a time. */
const MAX_REMEMBERED = 1_024

interface Issuer {
  readonly rule: JwtRule
  readonly places: ReadonlySet<string>
  /** Undefined as long as nobody has had them. */
  readonly keys: readonly JwsKey[] | undefined
}

/** Verifies the tokens of requests to one workload, by the keys of one moment. */
export class RequestAuthenticator {
  readonly #crypto: CryptoProvider
  readonly #issuers: readonly Issuer[]
  /** Wherever any issuer's tokens may lie, once each. */
  readonly #places: readonly TokenPlace[]
  /** Digests of tokens, with the issuer that signed them. */
  readonly #verified = new Map<string, Issuer>()

  /**
   * @param resources those for the workload
   * @throws CryptoError CRYPTO_JWS when a key set cannot be read
   */
  constructor(
    resources: readonly RequestAuthentication[],
    { keySets, crypto }: { readonly keySets: KeySets; readonly crypto: CryptoProvider },
  ) {
    this.#crypto = crypto
    this.#issuers = resources.flatMap(({ spec }) =>
      spec.jwtRules.map((rule) => ({
        rule,
        places: new Set(placesOf(rule).map(placeKey)),
        keys: keysOf(rule, keySets, crypto),
      })),
    )
    const places = this.#issuers.flatMap(({ rule }) =>
      placesOf(rule).map((place) => [placeKey(place), place] as const),
    )
    this.#places = [...new Map(places).values()]
  }

  /** What a request proves: nothing when it has no token, and a refusal when it has one that does not hold. */
  prove(request: RequestHeaders, nowMs: number): RequestProof {
    if (this.#places.length === 0) return { kind: 'none' }
    const carried = this.#places.flatMap((place) =>
      tokensIn(place, request).map((text): CarriedToken => ({ place, text })),
    )
    const [first] = carried
    if (first === undefined) return { kind: 'none' }
    try {
      if (carried.some(({ text }) => text !== first.text))
        throw new TokenError(
          'TOKEN_AMBIGUOUS',
          `The request carries ${new Set(carried.map(({ text }) => text)).size} tokens, expected one`,
        )
      return this.#verify(carried, nowMs)
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
      return { kind: 'refused', error }
    }
  }

  /** @throws TokenError */
  #verify(carried: readonly CarriedToken[], nowMs: number): RequestProof {
    const { text } = carried[0]!
    const jws = parseToken(text)
    const { iss, sub } = jws.claims
    const known = this.#issuers.filter(({ rule }) => rule.issuer === iss)
    const candidates = known.filter(({ places }) => carried.some(({ place }) => places.has(placeKey(place))))
    if (candidates.length === 0)
      throw new TokenError(
        'TOKEN_ISSUER',
        `The token comes from ${JSON.stringify(iss)}, whose tokens are not taken ${known.length > 0 ? 'there' : 'here'}`,
      )
    if (typeof sub !== 'string' || sub === '')
      throw new TokenError('TOKEN_CLAIMS', 'The token names no subject')
    const digest = this.#crypto.digest('sha256', utf8(text)).toBase64()
    let refusal: unknown
    for (const issuer of candidates) {
      const { rule, keys } = issuer
      try {
        if (this.#verified.get(digest) !== issuer) {
          if (keys === undefined)
            throw new TokenError('TOKEN_KEYS_MISSING', `There are no keys of ${rule.issuer} yet`)
          checkSignature(jws, rule, keys)
          this.#remember(digest, issuer)
        }
        checkClaims(jws.claims, { nowMs, clockSkewMs: CLOCK_SKEW_MS, audiences: rule.audiences ?? [] })
        return {
          kind: 'token',
          token: { principal: `${rule.issuer}/${sub}`, claims: jws.claims satisfies Claims },
          carried,
          isForwarded: rule.forwardOriginalToken,
        }
      } catch (error) {
        refusal = error
      }
    }
    throw refusal
  }

  #remember(digest: string, issuer: Issuer): void {
    if (this.#verified.size >= MAX_REMEMBERED) this.#verified.clear()
    this.#verified.set(digest, issuer)
  }
}

function keysOf(rule: JwtRule, keySets: KeySets, crypto: CryptoProvider): readonly JwsKey[] | undefined {
  const source = keySetSource(rule)
  const text = source === undefined ? rule.jwks : keySets.get(keySetName(source))
  return text === undefined ? undefined : parseJwks(text, crypto)
}
