import type { Predicate, Subject } from './predicates.ts'
import type { CompiledRule } from './rule.ts'

/**
 * Why a policy that could have allowed a request did not: the first condition that failed, in the rule that came
 * nearest. It is for the operator only; a peer must not learn it.
 */
export interface Miss {
  /** `namespace/name`. */
  readonly policy: string
  /** Such as `rules[0].from[1].principals`, or `rules` for a policy that has none. */
  readonly field: string
  /** The first few values of the field. */
  readonly wanted: readonly (string | number)[]
  /** Absent when the request has nothing of the kind. */
  readonly got?: string | number
}

/** Enough to show what a field asks for. */
const MAX_WANTED = 8

/** The nearest miss of a policy whose rules all failed; `rules` are those of one policy. */
export function nearestMiss(policy: string, rules: readonly CompiledRule[], subject: Subject): Miss {
  let nearest: { readonly miss: Miss; readonly passed: number } | undefined
  for (const rule of rules) {
    const failed = firstFailure(rule, subject)
    if (nearest === undefined || failed.passed > nearest.passed) nearest = failed
  }
  return nearest?.miss ?? { policy, field: 'rules', wanted: [] }
}

/** A rule whose source holds is nearer than any whose source does not. */
const SOURCE_HOLDS = 1_000

function firstFailure(
  rule: CompiledRule,
  subject: Subject,
): { readonly miss: Miss; readonly passed: number } {
  const source = nearestAlternative(rule.sources, subject)
  const [list, base, { alternative, passed }] =
    source.passed === Infinity
      ? (['to', SOURCE_HOLDS, nearestAlternative(rule.operations, subject)] as const)
      : (['from', 0, source] as const)
  const predicates = (list === 'to' ? rule.operations : rule.sources)[alternative]!
  const failed: Predicate = predicates[passed]!
  const got = failed.got(subject)
  return {
    passed: base + passed,
    miss: {
      policy: rule.policy,
      field: `rules[${rule.index}].${list}[${alternative}].${failed.field}`,
      wanted: failed.wanted.slice(0, MAX_WANTED),
      ...(got === undefined ? {} : { got }),
    },
  }
}

/** The alternative in which most conditions held before one failed; Infinity when one holds as a whole. */
function nearestAlternative(
  alternatives: readonly (readonly Predicate[])[],
  subject: Subject,
): { readonly alternative: number; readonly passed: number } {
  let nearest = { alternative: 0, passed: -1 }
  for (const [alternative, predicates] of alternatives.entries()) {
    const failed = predicates.findIndex((predicate) => !predicate.holds(subject))
    const passed = failed < 0 ? Infinity : failed
    if (passed > nearest.passed) nearest = { alternative, passed }
  }
  return nearest
}
