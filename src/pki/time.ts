import { Tag } from './der.ts'
import type { DerReader } from './der.ts'

/**
 * An X.509 Time in milliseconds since the Unix epoch, with seconds, in UTC and without fraction. Authorities must
 * use UTCTime through 2049 and GeneralizedTime from 2050; readers must take either at any time (RFC 5280 §4.1.2.5).
 *
 * @throws CertificateError PKI_MALFORMED
 */
export function readTime(reader: DerReader, field: string): number {
  const utc = reader.next(Tag.utcTime)
  const start = reader.offset
  const contents = reader.element(utc ? Tag.utcTime : Tag.generalizedTime, field)
  const digits = contents.length - 1
  if (digits !== (utc ? 12 : 14) || contents[digits] !== 0x5a)
    reader.fail(field, utc ? 'is not YYMMDDHHMMSSZ' : 'is not YYYYMMDDHHMMSSZ', start)
  const yearDigits = digits - 10
  const shortYear = number(contents, 0, yearDigits)
  // RFC 5280 §4.1.2.5.1: two digits from 50 on mean the last century.
  const year = utc ? shortYear + (shortYear >= 50 ? 1900 : 2000) : shortYear
  const [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map((at) => number(contents, yearDigits + at, 2))
  const ms = Date.UTC(year, month! - 1, day, hour, minute, second)
  const date = new Date(ms)
  // Years below 100 are not what Date.UTC takes them for.
  const exact =
    date.getUTCFullYear() === year &&
    date.getUTCMonth() === month! - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second
  return exact ? ms : reader.fail(field, 'is not a time of the calendar', start)
}

/** NaN when a byte is not a digit. */
function number(contents: Uint8Array, start: number, length: number): number {
  let value = 0
  for (let i = start; i < start + length; i++) {
    const digit = contents[i]! - 0x30
    value = digit >= 0 && digit <= 9 ? value * 10 + digit : Number.NaN
  }
  return value
}
