import * as z from 'zod'
import {
  API_VERSION,
  filePath,
  httpsUrl,
  type KindSchema,
  label,
  mapping,
  nonEmptyList,
  checked,
} from './fields.ts'
import { type WorkloadSelector, workloadSelector } from './policy-config.ts'
import { headerName } from './policy-values.ts'
import { type KeySetSource, someText, type TokenAlgorithm, tokenAlgorithms } from './token-fields.ts'

/** A header that tokens come in. */
export interface TokenHeader {
  /** In lower case. */
  readonly name: string
  /** What stands before the token, such as `Bearer `; for the scheme of `authorization`, in any case. */
  readonly prefix?: string | undefined
}

/** An issuer whose tokens are taken, and where requests carry them. */
export interface JwtRule {
  /** As tokens have it in `iss`. */
  readonly issuer: string
  /** Of these one at least must be in `aud`. @default any audience will do */
  readonly audiences?: readonly string[] | undefined
  readonly algorithms: readonly TokenAlgorithm[]
  /** One of these three: the key set itself, as JSON, or where it is. */
  readonly jwks?: string | undefined
  readonly jwksFile?: string | undefined
  readonly jwksUrl?: string | undefined
  /** PEM; the system's authorities without it. */
  readonly jwksCaFile?: string | undefined
  /** @default `authorization` with `Bearer `, where there are no cookies either */
  readonly fromHeaders?: readonly TokenHeader[] | undefined
  readonly fromCookies?: readonly string[] | undefined
  /** Whether the application gets to see the token. */
  readonly forwardOriginalToken: boolean
}

/** A RequestAuthentication resource (docs/policy.md). */
export interface RequestAuthentication {
  readonly apiVersion: typeof API_VERSION
  readonly kind: 'RequestAuthentication'
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: {
    /** Which workloads of the namespace it is for; absent: all. */
    readonly selector?: WorkloadSelector | undefined
    readonly jwtRules: readonly JwtRule[]
  }
}

/** RFC 6265 §4.1.1 */
const cookieName = checked('the name of a cookie', (text) => /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(text))

/** A key set is small; a larger one is another file by mistake. */
const MAX_KEY_SET_CHARACTERS = 64 * 1024

const jwtRule = mapping({
  issuer: someText,
  audiences: nonEmptyList(someText, 'audiences').optional(),
  algorithms: tokenAlgorithms,
  jwks: checked('a key set as JSON, such as {"keys": []}', isKeySet).optional(),
  jwksFile: filePath.optional(),
  jwksUrl: httpsUrl.optional(),
  jwksCaFile: filePath.optional(),
  fromHeaders: nonEmptyList(mapping({ name: headerName, prefix: someText.optional() }), 'headers').optional(),
  fromCookies: nonEmptyList(cookieName, 'names of cookies').optional(),
  forwardOriginalToken: z.boolean({ error: 'true or false' }).default(false),
}).superRefine(({ jwks, jwksFile, jwksUrl, jwksCaFile }, context) => {
  const given = Object.entries({ jwks, jwksFile, jwksUrl }).filter(([, value]) => value !== undefined)
  const refuse = (field: string, message: string, got: string): void =>
    context.addIssue({ code: 'custom', path: [field], message, params: { got } })
  if (given.length !== 1)
    refuse(
      given.at(-1)?.[0] ?? 'jwks',
      'one of jwks, jwksFile, jwksUrl',
      given.length === 0 ? 'none' : given.map(([name]) => name).join(' and '),
    )
  if (jwksCaFile !== undefined && jwksUrl === undefined)
    refuse('jwksCaFile', 'nothing, because no jwksUrl is fetched', JSON.stringify(jwksCaFile))
})

/** Whether its keys can be used shows when they are. */
function isKeySet(text: string): boolean {
  if (text.length > MAX_KEY_SET_CHARACTERS) return false
  try {
    const { keys } = Object(JSON.parse(text)) as { readonly keys?: unknown }
    return Array.isArray(keys)
  } catch {
    return false
  }
}

/** The schema of one RequestAuthentication resource. */
export const requestAuthenticationSchema: KindSchema<RequestAuthentication> = mapping({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('RequestAuthentication'),
  metadata: mapping({ name: label, namespace: label }),
  spec: mapping({
    selector: workloadSelector.optional(),
    jwtRules: nonEmptyList(jwtRule, 'rules'),
  }),
})

/** Where the keys of an issuer are published; undefined when the rule has them itself. */
export function keySetSource({ jwksFile, jwksUrl, jwksCaFile }: JwtRule): KeySetSource | undefined {
  if (jwksFile !== undefined) return { kind: 'file', path: jwksFile }
  if (jwksUrl === undefined) return undefined
  return { kind: 'url', url: jwksUrl, ...(jwksCaFile !== undefined && { caFile: jwksCaFile }) }
}

/** Every place that any of the resources has keys published at. */
export function keySetSources(resources: readonly RequestAuthentication[]): KeySetSource[] {
  return resources.flatMap(({ spec }) => spec.jwtRules.flatMap((rule) => keySetSource(rule) ?? []))
}

/** Names a source in what controllers tell proxies. */
export function keySetName(source: KeySetSource): string {
  return source.kind === 'file' ? `file:${source.path}` : source.url
}

/** The names of {@link keySetSources}. */
export function keySetNames(resources: readonly RequestAuthentication[]): string[] {
  return keySetSources(resources).map(keySetName)
}
