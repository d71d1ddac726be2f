/** A set of patterns with one question. */
export type Matcher = (text: string) => boolean

/**
 * Matches SPIFFE IDs. In a pattern, `*` as the last segment stands for one or more segments, as an inner segment for
 * exactly one, at the end of a segment for the rest of that segment; `*` alone for every SPIFFE ID.
 */
export function principalMatcher(patterns: readonly string[]): Matcher {
  return matcher(patterns, isWild, (pattern) => {
    if (pattern === '*') return '.+'
    const segments = pattern.split('/')
    return segments
      .map((segment, index) => {
        if (segment === '*') return index === segments.length - 1 ? '.+' : '[^/]+'
        return segment.endsWith('*') ? `${RegExp.escape(segment.slice(0, -1))}[^/]*` : RegExp.escape(segment)
      })
      .join('/')
  })
}

/**
 * Matches paths. In a pattern, `{name}` and an inner `*` stand for one segment, which is not empty, and `*` at the end for
 * any rest; `*` alone is any path.
 */
export function pathMatcher(patterns: readonly string[]): Matcher {
  const isTemplate = (pattern: string): boolean => isWild(pattern) || pattern.includes('{')
  return matcher(patterns, isTemplate, (pattern) => {
    const prefix = pattern.endsWith('*')
    const segments = (prefix ? pattern.slice(0, -1) : pattern).split('/')
    const expression = segments
      .map((segment) => (isAnySegment(segment) ? '[^/]+' : RegExp.escape(segment)))
      .join('/')
    return prefix ? `${expression}.*` : expression
  })
}

/** Whether a segment of a path pattern, other than a last `*`, stands for any segment. */
export function isAnySegment(segment: string): boolean {
  return segment === '*' || segment.startsWith('{')
}

/** Matches names. In a pattern, `*` at the end stands for anything. */
export function prefixMatcher(patterns: readonly string[]): Matcher {
  return matcher(patterns, isWild, (pattern) => `${RegExp.escape(pattern.slice(0, -1))}.*`)
}

/** Matches values. In a pattern, `*` at the end or at the beginning stands for anything, `*` alone for any value. */
export function valueMatcher(patterns: readonly string[]): Matcher {
  return matcher(patterns, isWild, (pattern) =>
    pattern.endsWith('*')
      ? `${RegExp.escape(pattern.slice(0, -1))}.*`
      : `.*${RegExp.escape(pattern.slice(1))}`,
  )
}

/** Matches hosts. A pattern that begins with `*.` stands for all subdomains; `*` alone for any host. */
export function hostMatcher(patterns: readonly string[]): Matcher {
  return matcher(patterns, isWild, (pattern) =>
    pattern === '*' ? '.+' : `.+${RegExp.escape(pattern.slice(1))}`,
  )
}

function isWild(pattern: string): boolean {
  return pattern.includes('*')
}

/** Literals by hash, however many there are; only what is none costs a search. */
function matcher(
  patterns: readonly string[],
  isPattern: (pattern: string) => boolean,
  toRegExp: (pattern: string) => string,
): Matcher {
  const literals = new Set(patterns.filter((pattern) => !isPattern(pattern)))
  const wild = patterns.filter(isPattern)
  const [only] = patterns
  // The usual case, and without a table in memory that nothing else has brought near.
  if (wild.length === 0 && patterns.length === 1) return (text) => text === only
  if (wild.length === 0) return (text) => literals.has(text)
  const expression = new RegExp(`^(?:${wild.map(toRegExp).join('|')})$`, 's')
  return (text) => literals.has(text) || expression.test(text)
}
