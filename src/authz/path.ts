/** Why a request target cannot be judged: some server would read it as another path than we would. */
export type PathRefusal =
  | 'too-long'
  | 'not-a-path'
  | 'fragment'
  | 'invalid-character'
  | 'malformed-percent'
  | 'encoded-delimiter'
  | 'double-encoding'
  | 'backslash'
  | 'path-parameter'
  | 'empty-segment'
  | 'dot-segment'
  | 'invalid-utf8'

/** The one spelling of a path, or why there is none. */
export type NormalizedPath =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'refused'; readonly reason: PathRefusal }

/** Node's HTTP parser gives all headers together this much. */
const MAX_TARGET_CHARS = 16_384

/** Already in its one spelling, dot segments aside: nearly every request. */
const PLAIN = /^(?:\/[A-Za-z0-9._~!$&'()*+,=:@-]+)*\/?$/

/** The scheme and authority of a target in absolute form (RFC 9112 §3.2.2). */
const ABSOLUTE = /^https?:\/\/[A-Za-z0-9._:[\]-]+(?=[/?]|$)/i

/**
 * Reduces a request target to the one spelling of its path, which policy is written in.
 *
 * Scheme, authority and query are cut off. Every percent-encoded character that may stand for itself in a path
 * (RFC 3986 §3.3) is decoded, everything else is encoded in upper case, so that two targets which decode to the same
 * path have the same spelling. Case is kept. What servers are known to disagree on is refused and never repaired: dot
 * segments, empty segments, path parameters, encoded delimiters, backslashes, double encoding.
 */
export function normalizePath(target: string): NormalizedPath {
  if (target.length > MAX_TARGET_CHARS) return refused('too-long')
  if (target === '*') return accepted('*')
  // No client sends a fragment; servers disagree whether it is part of the path.
  if (target.includes('#')) return refused('fragment')
  const local = target.startsWith('/') ? target : withoutOrigin(target)
  if (local === undefined) return refused('not-a-path')
  const query = local.indexOf('?')
  const raw = query < 0 ? local : local.slice(0, query)
  const spelling = PLAIN.test(raw) ? accepted(raw) : respell(raw)
  return spelling.kind === 'path' && hasDotSegment(spelling.path) ? refused('dot-segment') : spelling
}

/** The authority of a target in absolute form, as it came; undefined for other targets. */
export function authorityOf(target: string): string | undefined {
  if (target.startsWith('/')) return undefined
  return ABSOLUTE.exec(target)?.[0].replace(/^https?:\/\//i, '')
}

function withoutOrigin(target: string): string | undefined {
  const origin = ABSOLUTE.exec(target)?.[0]
  if (origin === undefined) return undefined
  const rest = target.slice(origin.length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

function hasDotSegment(path: string): boolean {
  return path.includes('/.') && /\/\.{1,2}(?:\/|$)/.test(path)
}

function respell(raw: string): NormalizedPath {
  if (raw.includes('//')) return refused('empty-segment')
  let path = ''
  const bytes: number[] = []
  for (let index = 0; index < raw.length; index++) {
    let code = raw.charCodeAt(index)
    const encoded = code === PERCENT
    if (encoded) {
      const digits = raw.slice(index + 1, index + 3)
      if (!/^[0-9A-Fa-f]{2}$/.test(digits)) return refused('malformed-percent')
      code = Number.parseInt(digits, 16)
      index += 2
    }
    const reason = refusalOf(code, encoded)
    if (reason !== undefined) return refused(reason)
    bytes.push(code)
    path += spell(code)
  }
  return isUtf8(bytes) ? accepted(path) : refused('invalid-utf8')
}

const PERCENT = 0x25

function refusalOf(code: number, encoded: boolean): PathRefusal | undefined {
  if (code < 0x20 || code === 0x7f) return 'invalid-character'
  if (!encoded && (code === 0x20 || code > 0x7f)) return 'invalid-character'
  switch (String.fromCharCode(code)) {
    case '%':
      return 'double-encoding'
    case '\\':
      return 'backslash'
    case ';':
      return 'path-parameter'
    case '/':
    case '?':
    case '#':
      return encoded ? 'encoded-delimiter' : undefined
    default:
      return undefined
  }
}

function spell(code: number): string {
  const character = String.fromCharCode(code)
  if (/[/A-Za-z0-9._~!$&'()*+,=:@-]/.test(character)) return character
  return `%${code.toString(16).toUpperCase().padStart(2, '0')}`
}

/** Overlong and broken sequences are read differently by different servers. */
function isUtf8(bytes: readonly number[]): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes))
    return true
  } catch {
    return false
  }
}

function accepted(path: string): NormalizedPath {
  return { kind: 'path', path }
}

function refused(reason: PathRefusal): NormalizedPath {
  return { kind: 'refused', reason }
}
