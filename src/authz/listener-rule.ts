import type { Predicate } from './predicate.ts'
import type { CompiledRule } from './rule.ts'
import type { Subject } from './subject.ts'

/** A rule as far as it is not settled yet when one listener takes a request. */
export interface ListenerRule {
  readonly rule: CompiledRule
  readonly sources: readonly (readonly Predicate[])[]
  readonly operations: readonly (readonly Predicate[])[]
  readonly conditions: readonly Predicate[]
  /** Whether `sources` rest on the peer's identity alone. */
  readonly isSettledByPeer: boolean
}

/** What a listener's port and protocol settle. */
export interface ListenerFacts {
  readonly port: number
  /** What its traffic is read as. */
  readonly transport: 'http' | 'tcp'
}

/** The rule without what the listener settles; undefined when it can never match there. */
export function ruleForListener(rule: CompiledRule, listener: ListenerFacts): ListenerRule | undefined {
  const sources = settleAll(rule.sources, listener)
  const operations = settleAll(rule.operations, listener)
  const conditions = settle(rule.conditions.flat(), listener)
  if (sources.length === 0 || operations.length === 0 || conditions === undefined) return undefined
  return {
    rule,
    sources,
    operations,
    conditions,
    isSettledByPeer: sources.flat().every(({ scope }) => scope === 'peer'),
  }
}

/** Whether the rule matches a subject for whose peer {@link peerMayMatch} holds. */
export function matchesPeers(rule: ListenerRule, subject: Subject): boolean {
  return (
    (rule.isSettledByPeer || anyHolds(rule.sources, subject)) &&
    anyHolds(rule.operations, subject) &&
    allHold(rule.conditions, subject)
  )
}

/** Whether the rule may match requests of the subject's peer, as far as its identity decides. */
export function peerMayMatch({ sources }: ListenerRule, subject: Subject): boolean {
  return sources.some((predicates) =>
    predicates.every((predicate) => predicate.scope !== 'peer' || predicate.holds(subject)),
  )
}

function anyHolds(alternatives: readonly (readonly Predicate[])[], subject: Subject): boolean {
  for (const predicates of alternatives) if (allHold(predicates, subject)) return true
  return false
}

function allHold(predicates: readonly Predicate[], subject: Subject): boolean {
  for (const predicate of predicates) if (!predicate.holds(subject)) return false
  return true
}

function settleAll(
  alternatives: readonly (readonly Predicate[])[],
  listener: ListenerFacts,
): (readonly Predicate[])[] {
  return alternatives.flatMap((predicates) => {
    const left = settle(predicates, listener)
    return left === undefined ? [] : [left]
  })
}

/** The predicates that the listener leaves open; undefined when it makes one of them fail. */
function settle(
  predicates: readonly Predicate[],
  { port, transport }: ListenerFacts,
): Predicate[] | undefined {
  const isSettled = ({ scope }: Predicate): boolean =>
    scope === 'port' || (scope === 'http' && transport === 'tcp')
  const subject = { ...NOBODY, port }
  if (predicates.some((predicate) => isSettled(predicate) && !predicate.holds(subject))) return undefined
  return predicates.filter((predicate) => !isSettled(predicate))
}

/** Enough for conditions on the port, and for those on HTTP where there is none. */
const NOBODY: Subject = {
  principal: '',
  trustDomain: '',
  namespace: undefined,
  serviceAccount: undefined,
  port: 0,
  sourceIp: undefined,
  sourceIpBytes: undefined,
  tls: undefined,
  http: undefined,
}
