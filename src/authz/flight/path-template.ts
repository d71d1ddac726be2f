import { normalizePath } from '../path.ts'

/** What stands for a segment that differs from request to request. */
export const ANY_SEGMENT = '{id}'

/**
 * Segments that identify one thing among many: numbers, UUIDs, and long texts of letters and digits mixed, as keys, hashes and
 * ULIDs are. Words are none, however long.
 */
const IDENTIFIER =
  /^(?:\d+|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?=.*\d)(?=.*[a-z])[0-9a-z_-]{16,}|[0-9a-f]{12,})$/i

/** Whether a segment of a path looks like an identifier. */
function isIdentifier(segment: string): boolean {
  return IDENTIFIER.test(segment)
}

/**
 * The path of a request with {@link ANY_SEGMENT} in the place of its identifiers, to count what is the same call together. A target
 * that cannot be judged stands for itself.
 */
export function pathTemplate(target: string): string {
  const normalized = normalizePath(target)
  if (normalized.kind === 'refused') return target
  return normalized.path
    .split('/')
    .map((segment) => (isIdentifier(segment) ? ANY_SEGMENT : segment))
    .join('/')
}

/** A request target without its query, which policy does not read. A fragment, which makes it ambiguous, leaves its mark. */
export function judgedPart(target: string): string {
  const path = target.replace(/[?#].*$/s, '')
  return target.includes('#') ? `${path}#` : path
}
