import { messageOf } from '../errors.ts'
import { CaError } from './errors.ts'
import type { Rotation, RotationStage, RotationState } from './rotation.ts'

/** Grows when an older controller must not read a newer one's record. */
const FORMAT = 1

const STAGES: ReadonlySet<unknown> = new Set<RotationStage>([
  'prepared',
  'distributed',
  'active',
  'tainted',
  'reverting',
])

/**
 * The state of a rotation as it is persisted: JSON with times that people can read.
 *
 * @param term of the leader who persists it (lease.ts). @default 0, before there was one
 */
export function encodeRotation(
  { rotation, longerUntilMs, svidTtlMs, ...rest }: RotationState,
  term: number = 0,
): string {
  const content = {
    format: FORMAT,
    ...(term > 0 && { term }),
    ...rest,
    ...(rotation !== undefined && {
      rotation: {
        stage: rotation.stage,
        next: rotation.next,
        since: timeText(rotation.sinceMs),
        absentUntil: timeText(rotation.absentUntilMs),
      },
    }),
    svidTtlMs,
    longerUntil: timeText(longerUntilMs),
  }
  return `${JSON.stringify(content, null, 2)}\n`
}

/** Reads what {@link encodeRotation} wrote. @throws CaError CA_STORE_CORRUPT */
export function decodeRotation(text: string): RotationState {
  try {
    const record = fields(JSON.parse(text))
    if (record['format'] !== FORMAT) throw new TypeError(`expected format ${FORMAT}`)
    const state = {
      current: count(record, 'current'),
      highest: count(record, 'highest'),
      rotation: record['rotation'] === undefined ? undefined : rotationOf(fields(record['rotation'])),
      svidTtlMs: count(record, 'svidTtlMs'),
      longerUntilMs: time(record, 'longerUntil'),
    }
    const newest = state.rotation?.next ?? state.current
    if (newest > state.highest || state.rotation?.next === state.current)
      throw new TypeError('the numbers of the authorities contradict each other')
    return state
  } catch (error) {
    throw new CaError(
      'CA_STORE_CORRUPT',
      `The record of the rotation is not readable: ${messageOf(error)}; restore it from a backup`,
      { cause: error },
    )
  }
}

/** The term under which a record was persisted. @throws CaError CA_STORE_CORRUPT */
export function recordedTerm(text: string): number {
  decodeRotation(text)
  const { term = 0 } = JSON.parse(text) as { readonly term?: unknown }
  return Number.isSafeInteger(term) ? Number(term) : 0
}

function rotationOf(record: Readonly<Record<string, unknown>>): Rotation {
  const { stage } = record
  if (!STAGES.has(stage)) throw new TypeError(`expected a stage, got ${JSON.stringify(stage)}`)
  return {
    stage: stage as RotationStage,
    next: count(record, 'next'),
    sinceMs: time(record, 'since'),
    absentUntilMs: time(record, 'absentUntil'),
  }
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new TypeError('expected an object')
  return value as Readonly<Record<string, unknown>>
}

function count(record: Readonly<Record<string, unknown>>, name: string): number {
  const value = record[name]
  if (Number.isSafeInteger(value) && (value as number) > 0) return value as number
  throw new TypeError(`${name}: expected a positive number, got ${JSON.stringify(value)}`)
}

function time(record: Readonly<Record<string, unknown>>, name: string): number {
  const value = Date.parse(String(record[name]))
  if (!Number.isNaN(value)) return value
  throw new TypeError(`${name}: expected a time, got ${JSON.stringify(record[name])}`)
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
