import type { ListenerRule } from './listener-rule.ts'
import type { Predicate } from './predicate.ts'
import { type SegmentPattern, type SegmentsPattern, SegmentTrie } from './segment-trie.ts'
import type { Subject } from './subject.ts'

/** Finds the rules that may be for a peer: by its name, not by asking each. */
export class PeerIndex {
  readonly #principals = new SegmentTrie<number>()
  readonly #serviceAccounts = new Map<string, number[]>()
  readonly #namespaces = new Map<string, number[]>()
  readonly #trustDomains = new Map<string, number[]>()
  /** Rules that have to be asked. */
  readonly #others: number[] = []

  constructor(rules: readonly ListenerRule[]) {
    for (const [place, { sources }] of rules.entries())
      for (const predicates of sources) this.#add(predicates, place)
  }

  /** The places, in no order, of all rules that could match the peer, and of some that do not. */
  candidates({ principal, serviceAccount, namespace, trustDomain }: Subject): Set<number> {
    const places = new Set(this.#others)
    this.#principals.match(principal.slice(SCHEME.length), (place) => places.add(place))
    for (const place of this.#serviceAccounts.get(serviceAccount ?? '') ?? []) places.add(place)
    for (const place of this.#namespaces.get(namespace ?? '') ?? []) places.add(place)
    for (const place of this.#trustDomains.get(trustDomain) ?? []) places.add(place)
    return places
  }

  /** By the field that tells most peers apart. */
  #add(predicates: readonly Predicate[], place: number): void {
    const wanted = (field: string): readonly string[] | undefined =>
      predicates.find((predicate) => predicate.field === field)?.keys
    const principals = wanted('principals')
    const named = [
      [this.#serviceAccounts, wanted('serviceAccounts')],
      [this.#namespaces, wanted('namespaces')],
      [this.#trustDomains, wanted('trustDomains')],
    ] as const
    if (principals !== undefined && !principals.includes('*')) {
      for (const pattern of principals) this.#principals.add(principalSegments(pattern), place)
      return
    }
    for (const [index, names] of named) {
      if (names === undefined || names.some((name) => name.includes('*'))) continue
      for (const name of names) index.set(name, [...(index.get(name) ?? []), place])
      return
    }
    this.#others.push(place)
  }
}

const SCHEME = 'spiffe://'

/** See principalMatcher for what patterns mean. */
function principalSegments(pattern: string): SegmentsPattern {
  const texts = pattern.slice(SCHEME.length).split('/')
  const endsOpen = texts.at(-1) === '*'
  const segments = (endsOpen ? texts.slice(0, -1) : texts).map((text): SegmentPattern => {
    if (text === '*') return { kind: 'any' }
    return text.endsWith('*') ? { kind: 'prefix', text: text.slice(0, -1) } : { kind: 'literal', text }
  })
  return endsOpen ? { segments, rest: '' } : { segments }
}
