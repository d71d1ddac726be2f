/**
 * Values on their way between threads. The structured clone algorithm loses the classes of errors and cannot carry
 * certificates; here both are taken apart on one side and put together again on the other.
 */
import type { Address } from '../../config/address.ts'
import { HandfastError } from '../../errors.ts'
import { IdentityError, type IdentityErrorCode } from '../../identity/errors.ts'
import { NetError, type NetErrorCode } from '../../net/errors.ts'
import { parseCertificate, type Certificate } from '../../pki/certificate.ts'
import { CertificateError, type CertificateErrorCode } from '../../pki/errors.ts'
import type { AlertName } from '../../tls/alerts.ts'
import { TlsError, type TlsErrorCode } from '../../tls/errors.ts'
import type { Packed } from './messages.ts'

/** Deeper than anything that is sent; an end to cycles. */
const MAX_DEPTH = 16

type PackedSpecial =
  | { readonly packed: 'certificate'; readonly der: Uint8Array }
  | {
      readonly packed: 'error'
      readonly name: string
      readonly code: string | undefined
      readonly message: string
      readonly stack: string | undefined
      /** What its class adds. */
      readonly more: Readonly<Record<string, Packed>>
    }

/** @param value plain data, in which certificates and errors may lie; functions are left out */
export function pack(value: unknown, depth = 0): Packed {
  if (typeof value === 'function' || typeof value === 'symbol') return undefined
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_DEPTH) return undefined
  // A clone of a view would carry all the memory that it is a view of.
  if (value instanceof Uint8Array) return Uint8Array.from(value)
  if (value instanceof Error) return packError(value, depth)
  if (Array.isArray(value)) return value.map((item) => pack(item, depth + 1))
  if (isCertificate(value))
    return { packed: 'certificate', der: Uint8Array.from(value.der) } satisfies PackedSpecial
  return packFields(value, depth)
}

/** @param value what {@link pack} made, after its journey */
export function unpack(value: Packed): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (Array.isArray(value)) return value.map(unpack)
  if (isSpecial(value))
    return value.packed === 'certificate' ? parseCertificate(value.der) : unpackError(value)
  return unpackFields(value)
}

function packFields(source: object, depth: number): Record<string, Packed> {
  const copy: Record<string, Packed> = {}
  for (const [name, field] of Object.entries(source)) {
    const packed = pack(field, depth + 1)
    if (packed !== undefined) copy[name] = packed
  }
  return copy
}

function unpackFields(source: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(source).map(([name, field]) => [name, unpack(field)]))
}

/** What of an error is sent by itself. */
const SAID = new Set(['name', 'code', 'message', 'stack'])

function packError(error: Error, depth: number): PackedSpecial {
  const { name, message, stack, cause } = error
  const { code } = error as { readonly code?: unknown }
  return {
    packed: 'error',
    name,
    code: typeof code === 'string' ? code : undefined,
    message,
    stack: error instanceof HandfastError ? undefined : stack,
    more: packFields(
      Object.fromEntries([...Object.entries(error).filter(([field]) => !SAID.has(field)), ['cause', cause]]),
      depth,
    ),
  }
}

function unpackError({
  name,
  code,
  message,
  stack,
  more,
}: Extract<PackedSpecial, { packed: 'error' }>): Error {
  const fields = unpackFields(more)
  const error = errorOf(name, code, message, fields)
  error.name = name
  if (stack !== undefined) error.stack = stack
  return error
}

/** Of its own class where somebody asks for the class. */
function errorOf(
  name: string,
  code: string | undefined,
  message: string,
  fields: Readonly<Record<string, unknown>>,
): Error {
  const { cause } = fields
  if (code === undefined) return new Error(message, { cause })
  const options = cause === undefined ? {} : { cause }
  const certificate = fields['certificate'] as Certificate | undefined
  switch (name) {
    case 'TlsError': {
      const alert = fields['alert'] as AlertName | undefined
      const received = fields['received'] as string | undefined
      return new TlsError(code as TlsErrorCode, message, {
        ...options,
        ...(alert !== undefined && { alert }),
        ...(received !== undefined && { received }),
      })
    }
    case 'CertificateError':
      return new CertificateError(code as CertificateErrorCode, message, {
        ...options,
        ...(certificate && { certificate }),
      })
    case 'IdentityError':
      return new IdentityError(code as IdentityErrorCode, message, {
        ...options,
        ...(certificate && { certificate }),
      })
    case 'NetError': {
      const address = fields['address'] as Address | undefined
      return new NetError(code as NetErrorCode, message, { ...options, ...(address && { address }) })
    }
    default:
      return Object.assign(new HandfastError(code, message, options), fields)
  }
}

function isCertificate(value: object): value is Certificate {
  return 'der' in value && 'tbs' in value && 'subjectAltNames' in value
}

function isSpecial(value: object): value is PackedSpecial {
  return 'packed' in value && (value.packed === 'certificate' || value.packed === 'error')
}
