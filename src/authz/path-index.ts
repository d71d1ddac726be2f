import type { ListenerRule } from './listener-rule.ts'
import { isAnySegment } from './patterns.ts'
import { type SegmentPattern, type SegmentsPattern, SegmentTrie } from './segment-trie.ts'

/** Finds the rules that may be for a path. */
export class PathIndex {
  readonly #paths = new SegmentTrie<number>()
  /** Places, in order, of rules that do not read the path, or for every path. */
  readonly #others: readonly number[]

  constructor(rules: readonly ListenerRule[]) {
    const others: number[] = []
    for (const [place, { operations }] of rules.entries()) {
      const paths = operations.map(
        (predicates) => predicates.find(({ field }) => field === 'paths')?.keys ?? ['*'],
      )
      if (paths.some((patterns) => patterns.includes('*'))) others.push(place)
      else for (const pattern of paths.flat()) this.#paths.add(pathSegments(pattern), place)
    }
    this.#others = others
  }

  /** The places, in order, of all rules that could match the path, and of some that do not. */
  candidates(path: string): readonly number[] {
    const places = new Set<number>()
    if (path.startsWith('/')) this.#paths.match(path.slice(1), (place) => places.add(place))
    if (places.size === 0) return this.#others
    const found = Array.from(places).sort((a, b) => a - b)
    return this.#others.length === 0 ? found : merge(found, this.#others)
  }
}

function merge(a: readonly number[], b: readonly number[]): number[] {
  const merged: number[] = []
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    if (j === b.length || (i < a.length && a[i]! < b[j]!)) merged.push(a[i++]!)
    else merged.push(b[j++]!)
  }
  return merged
}

/** See pathMatcher for what patterns mean. */
function pathSegments(pattern: string): SegmentsPattern {
  const endsOpen = pattern.endsWith('*')
  const texts = (endsOpen ? pattern.slice(1, -1) : pattern.slice(1)).split('/')
  const rest = endsOpen ? texts.pop()! : undefined
  const segments = texts.map((text): SegmentPattern =>
    isAnySegment(text) ? { kind: 'any' } : { kind: 'literal', text },
  )
  return rest === undefined ? { segments } : { segments, rest }
}
