import { type ListenerRule, matchesPeers, peerMayMatch } from './listener-rule.ts'
import { PathIndex } from './path-index.ts'
import { PeerIndex } from './peer-index.ts'
import type { CompiledRule } from './rule.ts'
import type { Subject } from './subject.ts'

/** The rules that may match requests of one peer. */
interface PeerRules {
  /** The rules themselves, in order, when there are few. */
  readonly few: readonly ListenerRule[] | undefined
  /** One bit for each rule, when there are many. */
  readonly many: Uint8Array | undefined
}

const NONE: readonly CompiledRule[] = []

/** Peers whose rules are kept at hand; more than one workload meets. */
const MAX_PEERS = 4_096

/** Asking so many rules takes as long as looking up the path. */
const FEW_RULES = 16

/** Rules of one action on one listener, in the order in which they are asked. */
export class RuleIndex {
  readonly #rules: readonly ListenerRule[]
  readonly #peerIndex: PeerIndex
  readonly #peers = new Map<string, PeerRules>()
  #pathIndex: PathIndex | undefined

  constructor(rules: readonly ListenerRule[]) {
    this.#rules = rules
    this.#peerIndex = new PeerIndex(rules)
  }

  /** The first rules that match, in order, `max` at most. */
  matching(subject: Subject, max: number): readonly CompiledRule[] {
    if (this.#rules.length === 0) return NONE
    const found: CompiledRule[] = []
    const { few, many } = this.#peerRules(subject)
    if (few !== undefined) {
      for (const candidate of few) {
        if (!matchesPeers(candidate, subject)) continue
        found.push(candidate.rule)
        if (found.length === max) break
      }
      return found
    }
    for (const place of this.#byPath(subject)) {
      if (!hasBit(many!, place)) continue
      const candidate = this.#rules[place]!
      if (!matchesPeers(candidate, subject)) continue
      found.push(candidate.rule)
      if (found.length === max) break
    }
    return found
  }

  /** Where many rules are for a peer, the path tells which of them may match. */
  #byPath({ http }: Subject): Iterable<number> {
    const path = http?.path
    if (path === undefined) return this.#rules.keys()
    this.#pathIndex ??= new PathIndex(this.#rules)
    return this.#pathIndex.candidates(path)
  }

  #peerRules(subject: Subject): PeerRules {
    const known = this.#peers.get(subject.principal)
    if (known !== undefined) return known
    const places = [...this.#peerIndex.candidates(subject)].filter((place) =>
      peerMayMatch(this.#rules[place]!, subject),
    )
    const rules =
      places.length <= FEW_RULES
        ? { few: places.sort((a, b) => a - b).map((place) => this.#rules[place]!), many: undefined }
        : { few: undefined, many: bitsOf(places, this.#rules.length) }
    // Starting anew is rare, and costs less than keeping an order of use on the hot path.
    if (this.#peers.size >= MAX_PEERS) this.#peers.clear()
    this.#peers.set(subject.principal, rules)
    return rules
  }
}

function bitsOf(places: readonly number[], count: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(count / 8))
  for (const place of places) bits[place >> 3]! |= 1 << (place & 7)
  return bits
}

function hasBit(bits: Uint8Array, place: number): boolean {
  return (bits[place >> 3]! & (1 << (place & 7))) !== 0
}
