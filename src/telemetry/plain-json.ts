import { HandfastError } from '../errors.ts'
import type { Certificate } from '../pki/certificate.ts'
import { encodePem } from '../pki/pem.ts'

/** What JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** Deeper than anything that is shown; an end to cycles. */
const MAX_DEPTH = 10

/**
 * A value of the program as JSON: certificates as PEM with a summary, errors as code, message and causes, bytes as
 * hexadecimal. For values that hold no secrets; it redacts nothing.
 */
export function plainJson(value: unknown, depth = 0): Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) ? value : null
    case 'bigint':
      return value.toString()
    case 'object':
      return value === null || depth > MAX_DEPTH ? null : objectJson(value, depth)
    case 'undefined':
    case 'function':
    case 'symbol':
    default:
      return null
  }
}

/** What an operator recognises a certificate by, and the certificate itself. */
export function certificateJson(certificate: Certificate): Json {
  const { subject, issuer, subjectAltNames, serialNumber, notBeforeMs, notAfterMs, der } = certificate
  return {
    subject: subject.text,
    issuer: issuer.text,
    uris: [...subjectAltNames.uris],
    dnsNames: [...subjectAltNames.dnsNames],
    serialNumber,
    notBefore: timeJson(notBeforeMs),
    notAfter: timeJson(notAfterMs),
    pem: encodePem('CERTIFICATE', der),
  }
}

/** RFC 3339 in UTC; null for a number that is no time. */
export function timeJson(ms: number): string | null {
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : null
}

function objectJson(value: object, depth: number): Json {
  if (value instanceof Uint8Array) return value.toHex()
  if (value instanceof Date) return timeJson(value.getTime())
  if (value instanceof Error) return errorJson(value, depth)
  if (Array.isArray(value)) return value.map((item) => plainJson(item, depth + 1))
  if (isCertificate(value)) return certificateJson(value)
  const copy: Record<string, Json> = {}
  for (const [name, field] of Object.entries(value)) {
    if (field !== undefined && typeof field !== 'function') copy[name] = plainJson(field, depth + 1)
  }
  return copy
}

function errorJson(error: Error, depth: number): Json {
  const own: Record<string, Json> = { name: error.name, message: error.message }
  const extra = error instanceof HandfastError ? Object.entries(error) : codeOf(error)
  for (const [name, field] of extra) {
    if (name !== 'name' && field !== undefined) own[name] = plainJson(field, depth + 1)
  }
  if (error.cause !== undefined) own['cause'] = plainJson(error.cause, depth + 1)
  return own
}

function codeOf(error: Error): readonly (readonly [string, unknown])[] {
  return 'code' in error ? [['code', error.code]] : []
}

function isCertificate(value: object): value is Certificate {
  return 'der' in value && 'tbs' in value && 'subjectAltNames' in value
}
