import type { GroupName } from '../crypto/provider.ts'
import { TlsError } from './errors.ts'
import type { EndpointOptions } from './options.ts'
import { MAX_PLAINTEXT_BYTES } from './record/protection.ts'
import {
  CIPHER_SUITES,
  NamedGroup,
  SIGNATURE_SCHEMES,
  type CipherSuiteParameters,
  type SignatureSchemeParameters,
} from './registry.ts'

/** What an endpoint is willing to negotiate, by preference; each list has at least one entry. */
export interface NegotiationPolicy {
  readonly suites: readonly CipherSuiteParameters[]
  readonly groups: readonly GroupName[]
  readonly schemes: readonly SignatureSchemeParameters[]
  readonly alpn: readonly string[]
  /** What record_size_limit says, content type included; undefined when nothing is said. */
  readonly recordSizeLimit: number | undefined
}

/** In our order of preference. */
const DEFAULT_GROUPS: readonly GroupName[] = ['X25519MLKEM768', 'x25519', 'secp256r1', 'secp384r1']

/** RFC 7301 §3.1 gives a protocol name one length byte; each character stands for one byte of the name. */
const PROTOCOL_NAME = /^[\0-\xff]{1,255}$/

/**
 * Fills in defaults and holds them against the provider and our role, once per connection.
 *
 * @throws TlsError TLS_BAD_OPTIONS
 */
export function negotiationPolicy(options: EndpointOptions, role: 'client' | 'server'): NegotiationPolicy {
  const { crypto, alpn = [] } = options
  for (const protocol of alpn) checkProtocolName(protocol)
  checkCount('maxMessageBytes', options.maxMessageBytes)
  checkCount('maxCertificates', options.maxCertificates)
  if (options.maxSentRecordBytes !== undefined)
    checkRecordBytes('maxSentRecordBytes', options.maxSentRecordBytes)
  const groups = options.groups ?? DEFAULT_GROUPS.filter((group) => crypto.groups.includes(group))
  const missing = groups.find((group) => !crypto.groups.includes(group))
  if (missing !== undefined) {
    throw new TlsError(
      'TLS_BAD_OPTIONS',
      `groups names ${missing}, which the ${crypto.name} crypto provider does not offer`,
    )
  }
  return {
    suites: pick('suites', options.suites, CIPHER_SUITES),
    groups: nonEmpty('groups', groups),
    schemes: acceptedSchemes(options, role),
    alpn,
    recordSizeLimit: recordSizeLimit(options),
  }
}

function acceptedSchemes(
  { signatureSchemes }: EndpointOptions,
  role: 'client' | 'server',
): readonly SignatureSchemeParameters[] {
  if (signatureSchemes === undefined) return SIGNATURE_SCHEMES.filter(({ use }) => use === 'default')
  const schemes = pick('signatureSchemes', signatureSchemes, SIGNATURE_SCHEMES)
  const legacy = role === 'client' && schemes.find(({ use }) => use === 'legacy')
  if (!legacy) return schemes
  throw new TlsError(
    'TLS_BAD_OPTIONS',
    `signatureSchemes names ${legacy.name}, which a client takes of no server (draft-ietf-tls-tls13-pkcs1)`,
  )
}

/** A name as ALPN carries it. @throws TlsError TLS_BAD_OPTIONS */
export function checkProtocolName(protocol: string): string {
  if (PROTOCOL_NAME.test(protocol)) return protocol
  throw new TlsError(
    'TLS_BAD_OPTIONS',
    `alpn holds ${JSON.stringify(protocol)}, expected a name of 1 to 255 Latin-1 characters`,
  )
}

/** RFC 8449 §4. */
const MIN_RECORD_SIZE_LIMIT = 64

function recordSizeLimit({ maxRecordBytes }: EndpointOptions): number | undefined {
  return maxRecordBytes === undefined ? undefined : checkRecordBytes('maxRecordBytes', maxRecordBytes) + 1
}

function checkRecordBytes(field: 'maxRecordBytes' | 'maxSentRecordBytes', bytes: number): number {
  if (Number.isInteger(bytes) && bytes >= MIN_RECORD_SIZE_LIMIT && bytes <= MAX_PLAINTEXT_BYTES) return bytes
  throw new TlsError(
    'TLS_BAD_OPTIONS',
    `${field} is ${bytes}, expected ${MIN_RECORD_SIZE_LIMIT} to ${MAX_PLAINTEXT_BYTES}`,
  )
}

/** The largest message that the three bytes of its length can announce. */
const MAX_MESSAGE_LIMIT = 2 ** 24 - 1

function checkCount(field: 'maxMessageBytes' | 'maxCertificates', count: number | undefined): void {
  if (count === undefined || (Number.isInteger(count) && count >= 1 && count <= MAX_MESSAGE_LIMIT)) return
  throw new TlsError('TLS_BAD_OPTIONS', `${field} is ${count}, expected 1 to ${MAX_MESSAGE_LIMIT}`)
}

/** What the peer's record_size_limit lets us put into a record. @throws TlsError TLS_ILLEGAL_PARAMETER */
export function plaintextLimit(recordSizeLimit: number): number {
  if (recordSizeLimit >= MIN_RECORD_SIZE_LIMIT) return recordSizeLimit - 1
  throw new TlsError(
    'TLS_ILLEGAL_PARAMETER',
    `record_size_limit is ${recordSizeLimit}, expected at least ${MIN_RECORD_SIZE_LIMIT}`,
  )
}

/** A name as server_name carries it: ASCII, without spaces, as RFC 6066 §3 demands. @throws TlsError TLS_BAD_OPTIONS */
export function checkServerName(name: string): string {
  if (/^[\x21-\x7e]{1,255}$/.test(name)) return name
  throw new TlsError(
    'TLS_BAD_OPTIONS',
    `serverName is ${JSON.stringify(name)}, expected a DNS name of 1 to 255 ASCII characters`,
  )
}

/** The suite of a code point, when it is among `suites`. */
export function suiteOf(
  code: number,
  suites: readonly CipherSuiteParameters[],
): CipherSuiteParameters | undefined {
  return suites.find((suite) => suite.code === code)
}

/** The code points of groups. */
export function groupCodes(groups: readonly GroupName[]): number[] {
  return groups.map((group) => NamedGroup[group])
}

/** The group of a code point, when it is among `groups`. */
export function groupOf(code: number, groups: readonly GroupName[]): GroupName | undefined {
  return groups.find((group) => NamedGroup[group] === code)
}

function pick<Item extends { readonly name: string }>(
  field: string,
  names: readonly Item['name'][] | undefined,
  known: readonly Item[],
): readonly Item[] {
  if (names === undefined) return known
  const picked = names.map((name) => {
    const item = known.find((candidate) => candidate.name === name)
    if (item !== undefined) return item
    const expected = known.map((candidate) => candidate.name).join(', ')
    throw new TlsError('TLS_BAD_OPTIONS', `${field} names ${name}, expected some of ${expected}`)
  })
  return nonEmpty(field, picked)
}

function nonEmpty<Item>(field: string, items: readonly Item[]): readonly Item[] {
  if (items.length > 0) return items
  throw new TlsError('TLS_BAD_OPTIONS', `${field} is empty, expected at least one entry`)
}
