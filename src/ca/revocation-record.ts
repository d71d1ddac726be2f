import { messageOf } from '../errors.ts'
import type { RevokedSubject } from '../identity/revocations.ts'
import { SpiffeId } from '../identity/spiffe-id.ts'
import { CaError } from './errors.ts'

/** What an operator has revoked, when and why. */
export interface Revocation {
  readonly subject: RevokedSubject
  readonly revokedAtMs: number
  /** The operator's words. */
  readonly reason: string
  /** When nothing is left that it could concern; undefined while only an operator can end it. */
  readonly endsAtMs: number | undefined
}

/** All revocations in force, as they are persisted. Immutable. */
export interface RevocationState {
  /** When the list was changed last, in milliseconds since the Unix epoch; it never falls. 0 before the first change. */
  readonly revision: number
  readonly revocations: readonly Revocation[]
}

/** Grows when an older controller must not read a newer one's record. */
const FORMAT = 1

/** The longest that operators may say. */
export const MAX_REASON_CHARS = 500

/** The list as it is persisted: JSON with times that people can read. */
export function encodeRevocations({ revision, revocations }: RevocationState): string {
  const content = {
    format: FORMAT,
    changed: timeText(revision),
    revocations: revocations.map(({ subject, revokedAtMs, reason, endsAtMs }) => ({
      ...subject,
      revoked: timeText(revokedAtMs),
      reason,
      ...(endsAtMs !== undefined && { ends: timeText(endsAtMs) }),
    })),
  }
  return `${JSON.stringify(content, null, 2)}\n`
}

/** Reads what {@link encodeRevocations} wrote. @throws CaError CA_STORE_CORRUPT */
export function decodeRevocations(text: string): RevocationState {
  try {
    const record = fields(JSON.parse(text))
    if (record['format'] !== FORMAT) throw new TypeError(`expected format ${FORMAT}`)
    const { revocations } = record
    if (!Array.isArray(revocations)) throw new TypeError('expected a list of revocations')
    return { revision: time(record, 'changed'), revocations: revocations.map(fields).map(revocationOf) }
  } catch (error) {
    throw new CaError(
      'CA_STORE_CORRUPT',
      `The list of revocations is not readable: ${messageOf(error)}; restore it from a backup`,
      { cause: error },
    )
  }
}

/**
 * What is to be revoked, as it comes from an operator or from the disk.
 *
 * @throws TypeError, IdentityError
 */
export function subjectOf(record: Readonly<Record<string, unknown>>): RevokedSubject {
  switch (record['kind']) {
    case 'serial':
      return { kind: 'serial', serialNumber: hex(record, 'serialNumber', /^(?:0|[1-9a-f][0-9a-f]{0,39})$/) }
    case 'identity':
      return { kind: 'identity', spiffeId: workload(text(record, 'spiffeId')) }
    case 'issuer':
      return { kind: 'issuer', keySha256: hex(record, 'keySha256', /^[0-9a-f]{64}$/) }
    default:
      throw new TypeError(
        `expected a serial number, an identity or an issuer, got ${JSON.stringify(record['kind'])}`,
      )
  }
}

/** Whether both are about the same. */
export function sameSubject(a: RevokedSubject, b: RevokedSubject): boolean {
  return JSON.stringify(subjectOf({ ...a })) === JSON.stringify(subjectOf({ ...b }))
}

function revocationOf(record: Readonly<Record<string, unknown>>): Revocation {
  return {
    subject: subjectOf(record),
    revokedAtMs: time(record, 'revoked'),
    reason: text(record, 'reason'),
    endsAtMs: record['ends'] === undefined ? undefined : time(record, 'ends'),
  }
}

function workload(name: string): string {
  const id = SpiffeId.parse(name)
  if (id.isTrustDomain)
    throw new TypeError(`spiffeId: expected a workload, got the trust domain ${id.toString()}`)
  return id.toString()
}

function hex(record: Readonly<Record<string, unknown>>, name: string, shape: RegExp): string {
  const value = text(record, name)
  if (shape.test(value)) return value
  throw new TypeError(
    `${name}: expected hexadecimal digits of the right number, got ${JSON.stringify(value)}`,
  )
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new TypeError('expected an object')
  return value as Readonly<Record<string, unknown>>
}

function text(record: Readonly<Record<string, unknown>>, name: string): string {
  const value = record[name]
  if (typeof value === 'string') return value
  throw new TypeError(`${name}: expected text, got ${JSON.stringify(value)}`)
}

function time(record: Readonly<Record<string, unknown>>, name: string): number {
  const value = Date.parse(text(record, name))
  if (!Number.isNaN(value)) return value
  throw new TypeError(`${name}: expected a time, got ${JSON.stringify(record[name])}`)
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
