import type { JwtRule } from '../config/request-authentication-config.ts'

/** The headers of a request, as node:http has them. */
export interface RequestHeaders {
  /** Every line of every header, by name in lower case. */
  readonly headersDistinct: Readonly<Record<string, readonly string[] | undefined>>
}

/** Where a token may lie in a request. */
export type TokenPlace =
  | { readonly kind: 'header'; readonly name: string; readonly prefix: string }
  | { readonly kind: 'cookie'; readonly name: string }

/** A token that a request carries. */
export interface CarriedToken {
  readonly place: TokenPlace
  readonly text: string
}

/** RFC 6750 §2.1 */
const DEFAULT_PLACES: readonly TokenPlace[] = [{ kind: 'header', name: 'authorization', prefix: 'Bearer ' }]

/** Where requests carry the tokens of an issuer. */
export function placesOf({ fromHeaders, fromCookies }: JwtRule): readonly TokenPlace[] {
  if (fromHeaders === undefined && fromCookies === undefined) return DEFAULT_PLACES
  return [
    ...(fromHeaders ?? []).map(({ name, prefix }) => ({
      kind: 'header' as const,
      name,
      prefix: prefix ?? '',
    })),
    ...(fromCookies ?? []).map((name) => ({ kind: 'cookie' as const, name })),
  ]
}

/** The same place has the same text. */
export function placeKey(place: TokenPlace): string {
  return place.kind === 'cookie' ? `cookie ${place.name}` : `header ${place.name} ${place.prefix}`
}

/** Every token that lies in a place. Several may: every line of a header, every cookie of that name, counts. */
export function tokensIn(place: TokenPlace, { headersDistinct }: RequestHeaders): string[] {
  if (place.kind === 'cookie') {
    return cookiesOf(headersDistinct).flatMap(({ name, value }) => (name === place.name ? [value] : []))
  }
  const lines = Object.hasOwn(headersDistinct, place.name) ? headersDistinct[place.name] : undefined
  return (lines ?? []).flatMap((line) => {
    // RFC 9110 §11.1: schemes are compared without regard to case; so is any other prefix, to be found at all.
    if (!line.toLowerCase().startsWith(place.prefix.toLowerCase())) return []
    const token = line.slice(place.prefix.length).trim()
    return token === '' ? [] : [token]
  })
}

/** The Cookie header without tokens; undefined when nothing is left of it. */
export function cookieWithout(
  tokens: readonly CarriedToken[],
  { headersDistinct }: RequestHeaders,
): string | undefined {
  const left = cookiesOf(headersDistinct).filter(
    ({ name, value }) =>
      !tokens.some(({ place, text }) => place.kind === 'cookie' && place.name === name && text === value),
  )
  return left.length === 0 ? undefined : left.map(({ pair }) => pair).join('; ')
}

interface Cookie {
  readonly name: string
  /** Without quotes. */
  readonly value: string
  /** As it came. */
  readonly pair: string
}

/** RFC 6265 §4.2.1 */
function cookiesOf(headersDistinct: RequestHeaders['headersDistinct']): Cookie[] {
  return (headersDistinct['cookie'] ?? [])
    .flatMap((line) => line.split(';'))
    .flatMap((part) => {
      const pair = part.trim()
      const end = pair.indexOf('=')
      if (end < 0) return pair === '' ? [] : [{ name: pair, value: '', pair }]
      const value = pair.slice(end + 1).trim()
      const quoted = /^"(.*)"$/.exec(value)?.[1]
      return [{ name: pair.slice(0, end).trim(), value: quoted ?? value, pair }]
    })
}
