import * as z from 'zod'
import { type Address, isIpAddress, isLoopback, parseAddress } from './address.ts'
import { formatDuration, parseDuration } from './duration.ts'
import { isPrincipalPattern, isTrustDomain, isWorkloadId } from './spiffe.ts'

/**
 * The building blocks of every schema. The message of each is the noun phrase that follows "expected" in a
 * {@link Problem}.
 */

/** The API group and version of every resource and configuration file. */
export const API_VERSION = 'handfast.dev/v1alpha1'

/** A mapping with exactly these keys; an unknown one is refused with the nearest known key as the remedy. */
export function mapping<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? knownKeysMessage(Object.keys(shape)) : 'a mapping',
  })
}

/** The schema of resources of one kind, which can stand beside those of others. */
export type KindSchema<Resource> = z.ZodType<Resource> & z.core.$ZodTypeDiscriminable

/** The envelope of a configuration file: apiVersion, kind and spec. */
export function envelope<Spec extends z.ZodType>(kind: string, spec: Spec): z.ZodType<z.output<Spec>> {
  return mapping({ apiVersion: z.literal(API_VERSION), kind: z.literal(kind), spec }).transform(
    (file) => (file as { spec: z.output<Spec> }).spec,
  )
}

/** A list with at least one entry: an empty one is more likely a mistake than a wish. */
export function nonEmptyList<Item extends z.ZodType>(item: Item, what: string): z.ZodArray<Item> {
  return z.array(item, { error: `a list of ${what}` }).min(1, { error: `at least one of ${what}` })
}

/** The name of a listener, a policy or a namespace: an RFC 1123 label. */
export const label: z.ZodType<string, string> = checked(
  'a name of up to 63 lower-case letters, digits and inner hyphens',
  (text) => /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(text),
)

/** `host:port` to connect to. */
export const address: z.ZodType<Address, string> = parsed('host:port with a port from 1 to 65535', (text) => {
  const value = parseAddress(text)
  return value === undefined || value.port === 0 ? undefined : value
})

/** `host:port` to connect to on this machine. */
export const loopbackAddress: z.ZodType<Address, string> = parsed(
  'a loopback host:port such as 127.0.0.1:8080',
  (text) => {
    const value = parseAddress(text)
    return value === undefined || value.port === 0 || !isLoopback(value) ? undefined : value
  },
)

/** `ip:port` to listen on; port 0 takes any free one. */
export const listenAddress: z.ZodType<Address, string> = parsed(
  'ip:port such as 0.0.0.0:15006 or [::]:15006',
  (text) => {
    const value = parseAddress(text)
    return value === undefined || !isIpAddress(value) ? undefined : value
  },
)

/** `ip:port` to listen on where nothing but this machine can connect. */
export const loopbackListenAddress: z.ZodType<Address, string> = parsed(
  'a loopback ip:port such as 127.0.0.1:15001, because this listener knows no peer identity',
  (text) => {
    const value = parseAddress(text)
    return value === undefined || !isIpAddress(value) || !isLoopback(value) ? undefined : value
  },
)

/** A TCP port from 1 to 65535. */
export const port: z.ZodType<number, number> = z
  .int({ error: 'a port from 1 to 65535' })
  .min(1, { error: 'a port from 1 to 65535' })
  .max(65_535, { error: 'a port from 1 to 65535' })

/** A whole number within bounds. */
export function wholeNumber({
  min,
  max,
}: {
  readonly min: number
  readonly max: number
}): z.ZodType<number, number> {
  const error = `a whole number from ${min} to ${max}`
  return z.int({ error }).min(min, { error }).max(max, { error })
}

/** The name of a trust domain. */
export const trustDomain: z.ZodType<string, string> = checked(
  'a trust domain of up to 255 lower-case letters, digits, dots, hyphens and underscores',
  isTrustDomain,
)

/** The SPIFFE ID of a workload. */
export const spiffeId: z.ZodType<string, string> = checked(
  'a SPIFFE ID such as spiffe://example.org/ns/shop/sa/web',
  isWorkloadId,
)

/** A principal pattern: see docs/policy.md. */
export const principalPattern: z.ZodType<string, string> = checked(
  'a SPIFFE ID in which a path segment may be * or end with *, such as spiffe://example.org/ns/shop/sa/*, or * alone',
  isPrincipalPattern,
)

/** The path of a file or directory. */
export const filePath: z.ZodType<string, string> = checked(
  'the path of a file',
  (text) => text.trim() !== '' && !text.includes('\0'),
)

/** Where something is asked for by HTTPS. */
export const httpsUrl: z.ZodType<string, string> = checked('an https URL', (text) => {
  const url = URL.parse(text)
  return url?.protocol === 'https:' && url.username === '' && url.password === '' && url.hash === ''
})

/** A duration in milliseconds, within bounds that are milliseconds too. */
export function duration(bounds: { readonly min: number; readonly max: number }): z.ZodType<number, string> {
  const { min, max } = bounds
  return parsed(`a duration from ${formatDuration(min)} to ${formatDuration(max)} such as 30s`, (text) => {
    const value = parseDuration(text)
    return value === undefined || value < min || value > max ? undefined : value
  })
}

/** How talkative the log is. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** The `log` section, the same in every configuration file. */
export const logSection: z.ZodType<{ readonly level: LogLevel }> = mapping({
  level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
}).prefault({})

/** A string that a function turns into something better, or refuses with undefined. */
export function parsed<T>(
  expected: string,
  parse: (text: string) => T | undefined,
): z.ZodType<Exclude<T, undefined>, string> {
  return z.string({ error: expected }).transform((text, context) => {
    const value = parse(text)
    if (value !== undefined) return value as Exclude<T, undefined>
    context.addIssue({ code: 'custom', message: expected })
    return z.NEVER
  })
}

/** A string that stays as it is once a predicate accepted it. */
export function checked(expected: string, accepts: (text: string) => boolean): z.ZodType<string, string> {
  return z.string({ error: expected }).refine(accepts, { error: expected })
}

const KNOWN_KEYS = 'one of the keys '

/** The message for an unknown key; it lists what {@link knownKeysOf} finds again. */
function knownKeysMessage(keys: readonly string[]): string {
  return KNOWN_KEYS + keys.join(', ')
}

/** The keys that the message for an unknown key lists. */
export function knownKeysOf(message: string): readonly string[] {
  return message.slice(KNOWN_KEYS.length).split(', ')
}
