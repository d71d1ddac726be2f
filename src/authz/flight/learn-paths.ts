import { ANY_SEGMENT, pathTemplate } from './path-template.ts'

/** Fewer values in one place are rather names of things than identifiers of many. */
const MIN_VALUES = 3

export interface LearnOptions {
  /** Paths that must not be matched by what was learned. */
  readonly denied: readonly string[]
  /** Whether identifiers may become templates. */
  readonly templates: boolean
}

/**
 * Patterns that match all of these paths and, templates aside, nothing else. A template is taken only where each of its places had
 * several values, and where it matches no path that was denied.
 *
 * @param paths in their normal form
 */
export function learnPaths(paths: readonly string[], { denied, templates }: LearnOptions): string[] {
  const byTemplate = Map.groupBy(new Set(paths), pathTemplate)
  const patterns = [...byTemplate].flatMap(([template, alike]) =>
    templates && isEvident(template, alike) && !denied.some((path) => matchesTemplate(template, path))
      ? [template]
      : alike.map(literalPattern),
  )
  return [...new Set(patterns)].sort()
}

/** Policy has no way to write `*` literally: everything that begins as the path does is the least that matches it. */
function literalPattern(path: string): string {
  const star = path.indexOf('*')
  return star < 0 ? path : path.slice(0, star + 1)
}

function isEvident(template: string, paths: readonly string[]): boolean {
  if (!template.includes(ANY_SEGMENT) || template.includes('*')) return false
  const segments = paths.map((path) => path.split('/'))
  return template
    .split('/')
    .every(
      (segment, place) =>
        segment !== ANY_SEGMENT || new Set(segments.map((path) => path[place])).size >= MIN_VALUES,
    )
}

function matchesTemplate(template: string, path: string): boolean {
  const wanted = template.split('/')
  const segments = path.split('/')
  return (
    wanted.length === segments.length &&
    wanted.every((segment, place) =>
      segment === ANY_SEGMENT ? segments[place] !== '' : segment === segments[place],
    )
  )
}
