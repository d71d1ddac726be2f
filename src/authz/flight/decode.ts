import { FlightLogError } from '../errors.ts'
import type { RuleName } from '../decision.ts'
import type { Workload } from '../request.ts'
import {
  FLIGHT_VERSION,
  isHidden,
  type ClaimValue,
  type FlightDecision,
  type FlightHttp,
  type FlightLine,
  type FlightProxy,
  type FlightRequest,
  type FlightShadow,
  type FlightValue,
} from './flight-line.ts'

/** Twice what the head of a request may have, with room for escapes: longer is no line of ours. */
const MAX_LINE_CHARACTERS = 256 * 1024

/** Policies name few headers and claims. */
const MAX_NAMED_VALUES = 256

/**
 * Reads one line, with or without its line feed. Fields that are not known are passed over: a newer proxy may write more.
 *
 * @throws FlightLogError AUTHZ_FLIGHT_LOG
 */
export function decodeFlightLine(text: string): FlightLine {
  const fields = readObject('the line', parseLine(text))
  if (fields['v'] !== FLIGHT_VERSION) throw wrong('v', `${FLIGHT_VERSION}`, fields['v'])
  switch (fields['kind']) {
    case 'decision':
      return readDecision(fields)
    case 'proxy':
      return readProxy(fields)
    case 'policy':
      return {
        kind: 'policy',
        atMs: readTime(fields),
        revision: readText(fields, 'revision'),
        ...optional('stateNumber', fields, readCount),
      }
    case 'lost':
      return { kind: 'lost', count: readCount(fields, 'count') }
    default:
      throw wrong('kind', 'decision, proxy, policy or lost', fields['kind'])
  }
}

type Fields = Readonly<Record<string, unknown>>

function parseLine(text: string): unknown {
  if (text.length > MAX_LINE_CHARACTERS)
    throw new FlightLogError(
      'AUTHZ_FLIGHT_LOG',
      `The line has ${text.length} characters, expected at most ${MAX_LINE_CHARACTERS}`,
    )
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FlightLogError('AUTHZ_FLIGHT_LOG', 'The line is not JSON', { cause })
  }
}

function readDecision(fields: Fields): FlightDecision {
  return {
    kind: 'decision',
    atMs: readTime(fields),
    id: readText(fields, 'id'),
    thread: readCount(fields, 'thread'),
    seq: readCount(fields, 'seq'),
    connection: readCount(fields, 'connection'),
    listener: readText(fields, 'listener'),
    request: readRequest(readObject('request', fields['request'])),
    ...readVerdict(fields),
    reason: readText(fields, 'reason'),
    revision: readText(fields, 'revision'),
    ...(fields['again'] === true && { again: true }),
    ...optional('trial', fields, (from, name) => readVerdict(readObject(name, from[name]))),
    ...optional('audits', fields, readRules),
  }
}

function readVerdict(fields: Fields): FlightShadow {
  const { verdict } = fields
  if (verdict !== 'permit' && verdict !== 'denial') throw wrong('verdict', 'permit or denial', verdict)
  return {
    verdict,
    cause: readText(fields, 'cause'),
    ...optional('policy', fields, readText),
    ...optional('rule', fields, readCount),
  }
}

function readRequest(fields: Fields): FlightRequest {
  return {
    peer: readText(fields, 'peer'),
    workload: readWorkload(fields, 'workload'),
    port: readPort(fields, 'port'),
    ...optional('source', fields, (from, name) => {
      const source = readObject(name, from[name])
      return { address: readText(source, 'address'), port: readPort(source, 'port') }
    }),
    ...optional('sni', fields, readText),
    ...optional('alpn', fields, readText),
    ...optional('group', fields, readText),
    ...optional('http', fields, (from, name) => readHttp(readObject(name, from[name]))),
  }
}

function readHttp(fields: Fields): FlightHttp {
  return {
    method: readText(fields, 'method'),
    path: readText(fields, 'path'),
    template: readText(fields, 'template'),
    ...optional('host', fields, readText),
    ...optional('headers', fields, (from, name) => readValues(name, from[name], isTextList)),
    ...optional('requestPrincipal', fields, (from, name) =>
      from[name] === null ? null : readText(from, name),
    ),
    ...optional('claims', fields, (from, name) => readValues(name, from[name], isClaim)),
  }
}

function readProxy(fields: Fields): FlightProxy {
  const { listeners } = fields
  if (!Array.isArray(listeners)) throw wrong('listeners', 'a list', listeners)
  return {
    kind: 'proxy',
    atMs: readTime(fields),
    ...optional('spiffeId', fields, readText),
    ...optional('workload', fields, readWorkload),
    trustDomain: readText(fields, 'trustDomain'),
    listeners: listeners.map((value: unknown) => {
      const listener = readObject('listeners', value)
      const { protocol } = listener
      if (protocol !== 'http' && protocol !== 'tcp') throw wrong('protocol', 'http or tcp', protocol)
      return { name: readText(listener, 'name'), port: readPort(listener, 'port'), protocol }
    }),
  }
}

function readWorkload(fields: Fields, name: string): Workload {
  const workload = readObject(name, fields[name])
  return {
    namespace: readText(workload, 'namespace'),
    serviceAccount: readText(workload, 'serviceAccount'),
  }
}

/** Values by name, each of which may be absent or hidden. */
function readValues<T>(
  field: string,
  value: unknown,
  accepts: (value: unknown) => value is T,
): Record<string, FlightValue<T>> {
  const entries = Object.entries(readObject(field, value))
  if (entries.length > MAX_NAMED_VALUES)
    throw wrong(field, `at most ${MAX_NAMED_VALUES} values`, entries.length)
  return Object.fromEntries(
    entries.map(([name, entry]): [string, FlightValue<T>] => {
      if (isHidden(entry)) return [name, { hidden: true }]
      if (entry === null || accepts(entry)) return [name, entry]
      throw wrong(name, 'a value, null or {"hidden":true}', entry)
    }),
  )
}

/** An own field or nothing: what is not there leaves no trace. */
function optional<Name extends string, T>(
  name: Name,
  fields: Fields,
  read: (fields: Fields, name: Name) => T,
): { readonly [field in Name]?: T } {
  return fields[name] === undefined
    ? {}
    : ({ [name]: read(fields, name) } as { readonly [field in Name]?: T })
}

function readObject(name: string, value: unknown): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw wrong(name, 'an object', value)
}

function readText(fields: Fields, name: string): string {
  const value = fields[name]
  if (isText(value)) return value
  throw wrong(name, 'text', value)
}

function readRules(fields: Fields, name: string): readonly RuleName[] {
  const value = fields[name]
  if (!Array.isArray(value)) throw wrong(name, 'a list', value)
  return value.map((entry: unknown) => {
    const rule = readObject(name, entry)
    return { policy: readText(rule, 'policy'), rule: readCount(rule, 'rule') }
  })
}

function readCount(fields: Fields, name: string): number {
  const value = fields[name]
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw wrong(name, 'a whole number', value)
}

function readPort(fields: Fields, name: string): number {
  const port = readCount(fields, name)
  if (port <= 65_535) return port
  throw wrong(name, 'a port', port)
}

/** RFC 3339 in UTC with milliseconds, and nothing else, so that a time has one spelling. */
function readTime(fields: Fields): number {
  const text = readText(fields, 'at')
  const atMs = Date.parse(text)
  if (Number.isFinite(atMs) && new Date(atMs).toISOString() === text) return atMs
  throw wrong('at', 'a time such as 2026-01-31T12:00:00.000Z', text)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isText)
}

/** JSON has nothing else than null beside. */
function isClaim(value: unknown): value is ClaimValue {
  return value !== undefined && value !== null
}

/** More of a value than this only hides the message. */
const MAX_SHOWN_CHARACTERS = 60

function wrong(field: string, expected: string, got: unknown): FlightLogError {
  const shown =
    got === undefined ? 'nothing' : (JSON.stringify(got)?.slice(0, MAX_SHOWN_CHARACTERS) ?? 'nothing')
  return new FlightLogError('AUTHZ_FLIGHT_LOG', `${field}: expected ${expected}, got ${shown}`)
}
