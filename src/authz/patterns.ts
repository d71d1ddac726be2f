/** A set of patterns with one question. */
export type Matcher = (text: string) => boolean

/**
 * Matches SPIFFE IDs. In a pattern, `*` as the last segment stands for one or more segments, as an inner segment for
 * exactly one, at the end of a segment for the rest of that segment; `*` alone for every SPIFFE ID.
 */
export function principalMatcher(patterns: readonly string[]): Matcher {
  return matcher(patterns, (pattern) => {
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

/** Matches names and paths. In a pattern, `*` at the end stands for anything. */
export function prefixMatcher(patterns: readonly string[]): Matcher {
  return matcher(patterns, (pattern) => `${RegExp.escape(pattern.slice(0, -1))}.*`)
}

/** Literals by hash, however many there are; only what has a `*` costs a search. */
function matcher(patterns: readonly string[], toRegExp: (pattern: string) => string): Matcher {
  const literals = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const wild = patterns.filter((pattern) => pattern.includes('*'))
  if (wild.length === 0) return (text) => literals.has(text)
  const expression = new RegExp(`^(?:${wild.map(toRegExp).join('|')})$`)
  return (text) => literals.has(text) || expression.test(text)
}
