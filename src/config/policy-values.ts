import type * as z from 'zod'
import { parseCidr } from './cidr.ts'
import { checked, nonEmptyList } from './fields.ts'

/** The values that policy resources are written in; src/authz checks what only shows when they are put to use. */

/** A namespace, whose end or whole may be `*`. */
export const namespacePattern: z.ZodType<string, string> = checked(
  'a namespace, which may end with *',
  (text) => text === '*' || /^[a-z0-9][-a-z0-9]{0,62}\*?$/.test(text),
)

const LABEL = '[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?'

const SERVICE_ACCOUNT = new RegExp(`^(?:${LABEL}/)?${LABEL}$`)

/** A service account of the policy's own namespace, or of the one before the slash. */
export const serviceAccountName: z.ZodType<string, string> = checked(
  'a service account such as web, or with its namespace such as shop/web',
  (text) => SERVICE_ACCOUNT.test(text),
)

/** An address, or a block of them. */
export const ipBlock: z.ZodType<string, string> = checked(
  'an IP address or a block of them, with no bits set behind its prefix, such as 10.1.0.0/16 or fd00::/8',
  (text) => parseCidr(text) !== undefined,
)

/** An HTTP method. */
export const method: z.ZodType<string, string> = checked('an HTTP method in upper case such as GET', (text) =>
  /^[A-Z][A-Z0-9_-]{0,31}$/.test(text),
)

/** A host as requests name it, without port. */
export const hostPattern: z.ZodType<string, string> = checked(
  'a host in lower case without port such as shop.example, or with all its subdomains such as *.shop.example',
  (text) =>
    text === '*' ||
    /^\[[0-9a-f:.]{2,45}\]$/.test(text) ||
    (text.length <= 255 &&
      /^(?:\*\.)?[a-z0-9_](?:[-a-z0-9_]*[a-z0-9_])?(?:\.[a-z0-9_](?:[-a-z0-9_]*[a-z0-9_])?)*$/.test(text)),
)

/** One segment of a path pattern: literal, or a whole segment that stands for any one. */
const PATH_SEGMENT = /^(?:[^*{}]*|\*|\{[A-Za-z_][A-Za-z0-9_]*\})$/

/** A path, a prefix or a template. */
export const pathPattern: z.ZodType<string, string> = checked(
  'a path such as /orders, with * at its end such as /orders/*, or with segments that stand for any one such as /orders/{id}',
  (text) => {
    if (text === '*') return true
    if (!text.startsWith('/')) return false
    const segments = text.slice(1).split('/')
    const last = segments.pop()!
    return (
      segments.every((segment) => PATH_SEGMENT.test(segment)) &&
      /^(?:[^*{}]*\*?|\{[A-Za-z_][A-Za-z0-9_]*\})$/.test(last)
    )
  },
)

/** RFC 9110 §5.6.2, in lower case as they are compared. */
export const headerName: z.ZodType<string, string> = checked(
  'the name of a header in lower case such as x-tier',
  (text) => /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(text),
)

/** Text, or with `*` at its end or beginning what begins or ends so; `*` alone is any value. */
export const valuePattern: z.ZodType<string, string> = checked(
  'text in which * stands at the beginning or at the end, or alone',
  (text) =>
    text !== '' &&
    text.length <= 1_024 &&
    !text.slice(1, -1).includes('*') &&
    text !== '**' &&
    !/^\*.*\*$/s.test(text),
)

/** The full name of a gRPC service, which may end with `*`. */
export const grpcService: z.ZodType<string, string> = checked(
  'the full name of a gRPC service such as shop.v1.Orders, which may end with *',
  (text) => text === '*' || /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*(?:\.?\*)?$/.test(text),
)

/** The name of a gRPC method, which may end with `*`. */
export const grpcMethod: z.ZodType<string, string> = checked(
  'the name of a gRPC method such as GetOrder, which may end with *',
  (text) => text === '*' || /^[A-Za-z_][A-Za-z0-9_]*\*?$/.test(text),
)

/** What a condition looks at. */
export const conditionKey: z.ZodType<string, string> = checked(
  'one of connection.sni, connection.alpn, connection.group, request.auth.claims[NAME]',
  (text) =>
    /^connection\.(?:sni|alpn|group)$/.test(text) ||
    /^request\.auth\.claims(?:\[[^[\]]{1,64}\]){1,4}$/.test(text),
)

/** A list of such values that may be left out. */
export function some<T>(item: z.ZodType<T, T>, what: string): z.ZodOptional<z.ZodArray<z.ZodType<T, T>>> {
  return nonEmptyList(item, what).optional()
}
