import type { PolicyCondition } from '../config/policy-config.ts'
import { compileExpression } from './expression.ts'
import { valueMatcher } from './patterns.ts'
import { type Predicate, type PredicateScope, type RuleContext, whenUnknown } from './predicate.ts'
import type { Subject } from './subject.ts'

/** The further conditions of a rule; of each, one or two predicates. */
export function conditionPredicates(condition: PolicyCondition, context: RuleContext): Predicate[] {
  const { key, values, notValues, expression } = condition
  if (expression !== undefined) return [onExpression(expression, context)]
  const look = lookUp(key!)
  return [
    ...(values ? [onKey('values', values, look, context)] : []),
    ...(notValues ? [onKey('notValues', notValues, look, context)] : []),
  ]
}

/** The claim that a key names, as the way to it from the top of the token; undefined for other keys. */
export function claimPath(key: string): readonly string[] | undefined {
  if (!key.startsWith(CLAIMS)) return undefined
  return key.slice(CLAIMS.length + 1, -1).split('][')
}

const CLAIMS = 'request.auth.claims'

interface LookUp {
  readonly scope: PredicateScope
  /** The values that are there; undefined when it is not known which. */
  values(subject: Subject): readonly string[] | undefined
}

function onKey(
  field: 'values' | 'notValues',
  wanted: readonly string[],
  look: LookUp,
  context: RuleContext,
): Predicate {
  const matches = valueMatcher(wanted)
  const unknown = whenUnknown(context)
  return {
    field,
    scope: look.scope,
    wanted,
    got: (subject) => look.values(subject)?.join(', ') || undefined,
    holds(subject) {
      const present = look.values(subject)
      return present === undefined ? unknown : present.some(matches) === (field === 'values')
    },
  }
}

function lookUp(key: string): LookUp {
  const path = claimPath(key)
  if (path !== undefined)
    return {
      scope: 'http',
      values: ({ http }) => http && claimValues(path, http.token?.claims),
    }
  const name = key.slice('connection.'.length) as 'sni' | 'alpn' | 'group'
  return {
    scope: 'connection',
    values({ tls }) {
      if (tls === undefined || (name === 'group' && tls.group === undefined)) return undefined
      const value = tls[name]
      return value === undefined ? [] : [name === 'sni' ? value.toLowerCase() : value]
    },
  }
}

/** A claim's values: its text, number or truth, or those of its list; `scope` is a list in a string (RFC 8693 §4.2). */
function claimValues(
  path: readonly string[],
  claims: Readonly<Record<string, unknown>> | undefined,
): readonly string[] {
  let value: unknown = claims
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return []
    value = (value as Record<string, unknown>)[step]
  }
  if (path.length === 1 && path[0] === 'scope' && typeof value === 'string') return value.split(' ')
  const items: readonly unknown[] = Array.isArray(value) ? value : [value]
  return items.filter(isPlain).map(String)
}

function isPlain(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

/** @throws TypeError for an expression that was not checked before */
function onExpression(text: string, context: RuleContext): Predicate {
  const compiled = compileExpression(text)
  if (compiled.kind === 'refused') throw new TypeError(`Not an expression: ${compiled.got}`)
  const { expression } = compiled
  const unknown = whenUnknown(context)
  const readsHttp = expression.reads.variables.has('request')
  return {
    field: 'expression',
    scope: readsHttp ? 'http' : 'connection',
    wanted: [text],
    got: () => undefined,
    holds(subject) {
      if (readsHttp && subject.http === undefined) return unknown
      try {
        return expression.holds(subject)
      } catch {
        return unknown
      }
    },
  }
}
