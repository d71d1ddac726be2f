/** Reading a command line: every refusal names the flag, what was expected and what came. */
import { parseArgs, type ParseArgsConfig, type ParseArgsOptionsConfig } from 'node:util'
import { parseAddress, type Address } from '../config/address.ts'
import { parseDuration } from '../config/duration.ts'
import { nearest } from '../config/nearest.ts'
import { messageOf } from '../errors.ts'
import { UsageError } from './errors.ts'

type ParsedFlags<T extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ options: T; strict: true; allowPositionals: true; args: string[] }>
>

export interface FlagRules<T extends ParseArgsOptionsConfig> {
  readonly options: T
  /** Names of the positional arguments, all required, for messages. @default none taken */
  readonly positionals?: readonly string[]
}

/**
 * `parseArgs` in strict mode, with messages for people.
 *
 * @throws UsageError
 */
export function parseFlags<const T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  rules: FlagRules<T>,
): ParsedFlags<T> {
  const wanted = rules.positionals ?? []
  const parsed = parseStrictly(args, rules.options)
  const extra = parsed.positionals[wanted.length]
  if (extra !== undefined) {
    const expected = wanted.length === 0 ? 'no argument but flags' : wanted.join(' ')
    throw new UsageError(`Unexpected argument ${quoted(extra)}: expected ${expected}`)
  }
  const missing = wanted[parsed.positionals.length]
  if (missing !== undefined) throw new UsageError(`Missing argument: expected ${missing}, got nothing`)
  return parsed
}

/** A flag's value for a message. */
export function quoted(text: string): string {
  return JSON.stringify(text)
}

/** @throws UsageError when the flag is absent */
export function required(flag: string, value: string | undefined, expected: string): string {
  if (value === undefined) throw new UsageError(`${flag}: expected ${expected}, got nothing`)
  return value
}

/**
 * `HOST:PORT`, an IPv6 address in brackets.
 *
 * @param what the flag or argument, for the message
 * @throws UsageError
 */
export function parseHostPort(what: string, text: string): Address {
  const address = parseAddress(text)
  if (address !== undefined) return address
  const hint = /^[0-9a-f:]*:[0-9a-f:]*:\d+$/i.test(text) ? '; an IPv6 address goes in brackets' : ''
  throw new UsageError(`${what}: expected HOST:PORT, got ${quoted(text)}${hint}`)
}

/**
 * A duration such as `500ms`, `10s`, `1m30s`, in milliseconds, longer than none.
 *
 * @throws UsageError
 */
export function parseDurationMs(flag: string, text: string): number {
  const durationMs = parseDuration(text)
  if (durationMs === undefined || durationMs === 0)
    throw new UsageError(`${flag}: expected a duration such as 500ms, 10s or 2m, got ${quoted(text)}`)
  return durationMs
}

/** A whole number from 0 to `max`. @throws UsageError */
export function parseCount(flag: string, text: string, max: number): number {
  const count = Number(text)
  if (/^\d{1,15}$/.test(text) && count <= max) return count
  throw new UsageError(`${flag}: expected a number from 0 to ${max}, got ${quoted(text)}`)
}

/**
 * Names separated by commas, each out of `known`, none twice.
 *
 * @throws UsageError
 */
export function parseNames<Name extends string>(flag: string, text: string, known: readonly Name[]): Name[] {
  return parseList(flag, text).map((name) => {
    const match = known.find((candidate) => candidate === name)
    if (match === undefined)
      throw new UsageError(
        `${flag}: expected some of ${known.join(', ')}, got ${quoted(name)}${didYouMean(name, known)}`,
      )
    return match
  })
}

/**
 * Items separated by commas, none empty, none twice.
 *
 * @throws UsageError
 */
export function parseList(flag: string, text: string): string[] {
  const items = text.split(',').map((item) => item.trim())
  if (items.includes(''))
    throw new UsageError(`${flag}: expected names separated by commas, got ${quoted(text)}`)
  const twice = items.find((item, index) => items.indexOf(item) !== index)
  if (twice !== undefined)
    throw new UsageError(`${flag}: expected each name once, got ${quoted(twice)} twice`)
  return items
}

function parseStrictly<const T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: T,
): ParsedFlags<T> {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true })
  } catch (thrown) {
    throw new UsageError(explainRefusal(thrown, options), { cause: thrown })
  }
}

function explainRefusal(thrown: unknown, options: NonNullable<ParseArgsConfig['options']>): string {
  const message = messageOf(thrown)
  const flag = /'(-[^'\s]*)/.exec(message)?.[1]?.replace(/,$/, '')
  const code = (thrown as { readonly code?: unknown }).code
  if (flag !== undefined && code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const flags = Object.keys(options).map((name) => `--${name}`)
    return `${flag}: no such flag${didYouMean(flag, flags)}`
  }
  if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') return explainValue(message, options)
  return message
}

/** Node words it `Option '-x, --name <value>' argument missing`, `… does not take an argument` or `… is ambiguous`. */
function explainValue(message: string, options: NonNullable<ParseArgsConfig['options']>): string {
  const name = /--([\w-]+)/.exec(message)?.[1] ?? ''
  const takesValue = options[name]?.type === 'string'
  if (!takesValue) return `--${name}: expected no value, got one`
  return message.includes('ambiguous')
    ? `--${name}: expected a value, got another flag; write --${name}=VALUE for a value that begins with a dash`
    : `--${name}: expected a value, got nothing`
}

function didYouMean(typed: string, candidates: readonly string[]): string {
  const near = nearest(typed, candidates)
  return near === undefined ? '' : `; did you mean ${near}?`
}
