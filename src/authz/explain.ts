import type { PolicyAction } from '../config/policy-config.ts'
import type { Predicate } from './predicate.ts'
import type { CompiledRule } from './rule.ts'
import type { Subject } from './subject.ts'

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

/** One field of a rule, held against a request. */
export interface FieldReport extends Omit<Miss, 'policy'> {
  readonly holds: boolean
}

/** One rule, held against a request field by field. It is for the operator only. */
export interface RuleReport {
  /** `namespace/name`. */
  readonly policy: string
  readonly action: PolicyAction
  readonly dryRun: boolean
  readonly rule: number
  readonly matches: boolean
  readonly fields: readonly FieldReport[]
}

/** Enough to show what a field asks for. */
const MAX_WANTED = 8

/** The nearest miss of a policy whose rules all failed; `rules` are those of one policy. */
export function nearestMiss(policy: string, rules: readonly CompiledRule[], subject: Subject): Miss {
  let nearest: { readonly failed: Located; readonly passed: number } | undefined
  for (const rule of rules) {
    const failure = firstFailure(rule, subject)
    if (failure !== undefined && (nearest === undefined || failure.passed > nearest.passed)) nearest = failure
  }
  if (nearest === undefined) return { policy, field: 'rules', wanted: [] }
  const { holds: _, ...shown } = fieldReport(nearest.failed, subject)
  return { policy, ...shown }
}

/** Every field of a rule, with what came and whether it holds. */
export function ruleReport(rule: CompiledRule, action: PolicyAction, subject: Subject): RuleReport {
  const { policy, index, dryRun } = rule
  return {
    policy,
    action,
    dryRun,
    rule: index,
    matches: firstFailure(rule, subject) === undefined,
    fields: [
      ...locate(rule, 'from', rule.sources),
      ...locate(rule, 'to', rule.operations),
      ...locate(rule, 'when', rule.conditions),
    ].map((located) => fieldReport(located, subject)),
  }
}

/** A condition and where it stands. */
interface Located {
  readonly predicate: Predicate
  /** From the top of the specification. */
  readonly field: string
}

function locate(
  rule: CompiledRule,
  list: 'from' | 'to' | 'when',
  entries: readonly (readonly Predicate[])[],
): Located[] {
  return entries.flatMap((predicates, entry) =>
    predicates.map((predicate) => ({
      predicate,
      field: `rules[${rule.index}].${list}[${entry}].${predicate.field}`,
    })),
  )
}

function fieldReport({ predicate, field }: Located, subject: Subject): FieldReport {
  const got = predicate.got(subject)
  return {
    field,
    wanted: predicate.wanted.slice(0, MAX_WANTED),
    ...(got === undefined ? {} : { got }),
    holds: predicate.holds(subject),
  }
}

/** A rule whose source holds is nearer than any whose source does not, and so with its operation. */
const LIST_HOLDS = 1_000

/** Where a rule fails first; undefined when it matches. */
function firstFailure(
  rule: CompiledRule,
  subject: Subject,
): { readonly failed: Located; readonly passed: number } | undefined {
  const source = nearestAlternative(rule, 'from', subject)
  if (source !== undefined) return source
  const operation = nearestAlternative(rule, 'to', subject)
  if (operation !== undefined) return { ...operation, passed: operation.passed + LIST_HOLDS }
  const conditions = locate(rule, 'when', rule.conditions)
  const failed = conditions.findIndex(({ predicate }) => !predicate.holds(subject))
  return failed < 0 ? undefined : { failed: conditions[failed]!, passed: failed + 2 * LIST_HOLDS }
}

/** The alternative in which most conditions held before one failed; undefined when one holds as a whole. */
function nearestAlternative(
  rule: CompiledRule,
  list: 'from' | 'to',
  subject: Subject,
): { readonly failed: Located; readonly passed: number } | undefined {
  let nearest: { readonly failed: Located; readonly passed: number } | undefined
  for (const [entry, predicates] of (list === 'from' ? rule.sources : rule.operations).entries()) {
    const passed = predicates.findIndex((predicate) => !predicate.holds(subject))
    if (passed < 0) return undefined
    if (nearest !== undefined && passed <= nearest.passed) continue
    const predicate = predicates[passed]!
    nearest = {
      failed: { predicate, field: `rules[${rule.index}].${list}[${entry}].${predicate.field}` },
      passed,
    }
  }
  return nearest
}
