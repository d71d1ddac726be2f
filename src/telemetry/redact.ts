import { HandfastError } from '../errors.ts'

/** What stands in the place of a secret. */
const REDACTED = '[redacted]'

/** Objects nested deeper are cut: a log line is for reading, and a cycle must end somewhere. */
const MAX_DEPTH = 6

/** Byte strings longer than this are told by their length; shorter ones (serial numbers, digests) are shown. */
const MAX_SHOWN_BYTES = 64

/** Names of fields whose values are credentials, whatever the writing style: joinToken, join_token, private-key, Authorization. */
const SECRET_FIELD =
  /token|secret|passw(or)?d|passphrase|private[-_]?key|^key$|key[-_]?pem|pkcs8|authorization|cookie|credential/i

/** The same names when they only speak about a secret: tokenId, keyPath, tokenTtlSeconds. */
const ABOUT_A_SECRET = /(path|file|id|kind|count|seconds|bytes|ms)$/i

const PRIVATE_KEY_PEM =
  /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g

/**
 * A copy of `fields` that is safe and possible to write as JSON: secrets by field name and private keys in text are
 * replaced, errors become code, message and causes, bytes become hexadecimal, big integers text.
 */
export function loggable(fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return objectCopy(fields, 0)
}

function objectCopy(source: object, depth: number): Record<string, unknown> {
  const copy: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(source)) {
    if (value === undefined) continue
    copy[name] = isSecret(name, value) ? REDACTED : valueCopy(value, depth + 1)
  }
  return copy
}

function isSecret(name: string, value: unknown): boolean {
  if (typeof value === 'number' || typeof value === 'boolean') return false
  return isSecretName(name)
}

/** Whether what bears this name is a credential, by the name alone. */
export function isSecretName(name: string): boolean {
  return SECRET_FIELD.test(name) && !ABOUT_A_SECRET.test(name)
}

function valueCopy(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return value.includes('PRIVATE KEY') ? value.replaceAll(PRIVATE_KEY_PEM, REDACTED) : value
    case 'bigint':
      return value.toString()
    case 'function':
    case 'symbol':
      return undefined
    case 'object':
      return value === null ? null : heapCopy(value, depth)
    case 'boolean':
    case 'number':
    case 'undefined':
    default:
      return value
  }
}

function heapCopy(value: object, depth: number): unknown {
  if (value instanceof Uint8Array)
    return value.length <= MAX_SHOWN_BYTES ? value.toHex() : `${value.length} bytes`
  if (value instanceof Date) return value.toJSON()
  if (depth > MAX_DEPTH) return '[deeper]'
  if (value instanceof Error) return errorCopy(value, depth)
  if (Array.isArray(value)) return value.map((item) => valueCopy(item, depth + 1))
  if (value instanceof Map) return objectCopy(Object.fromEntries(value), depth)
  if (value instanceof Set) return [...value].map((item) => valueCopy(item, depth + 1))
  return objectCopy(value, depth)
}

/** Our own errors say it all in their message; only of others is the stack worth its length. */
function errorCopy(error: Error, depth: number): Record<string, unknown> {
  const code: unknown = 'code' in error ? error.code : undefined
  return {
    name: error.name,
    ...(typeof code === 'string' && { code }),
    message: valueCopy(error.message, depth),
    ...(!(error instanceof HandfastError) && code === undefined && { stack: error.stack }),
    ...(error.cause !== undefined && { cause: valueCopy(error.cause, depth + 1) }),
  }
}
