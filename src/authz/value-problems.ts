import type { AuthorizationPolicy, PolicyCondition } from '../config/policy-config.ts'
import type { FieldPath } from '../config/yaml-position.ts'
import { GROUPS } from '../crypto/groups.ts'
import { compileExpression } from './expression.ts'
import { normalizeHost } from './host.ts'
import { normalizePath } from './path.ts'
import { isAnySegment } from './patterns.ts'

/** A value that cannot be put to use, such as a path that no request is ever spelt like. */
export interface ValueProblem {
  readonly field: FieldPath
  /** A noun phrase: what would have been accepted. */
  readonly expected: string
  /** A noun phrase: what was there. */
  readonly got: string
}

/** Every value of the policy that the schema accepts and that makes no sense. */
export function valueProblems({ spec }: AuthorizationPolicy): ValueProblem[] {
  return spec.rules.flatMap(({ to = [], when = [] }, ruleIndex) => {
    const at = (...path: FieldPath): FieldPath => ['spec', 'rules', ruleIndex, ...path]
    return [
      ...to.flatMap(({ hosts, notHosts, paths, notPaths }, index) => [
        ...textProblems(at('to', index, 'hosts'), hosts, expectedHost),
        ...textProblems(at('to', index, 'notHosts'), notHosts, expectedHost),
        ...textProblems(at('to', index, 'paths'), paths, expectedPath),
        ...textProblems(at('to', index, 'notPaths'), notPaths, expectedPath),
      ]),
      ...when.flatMap((condition, index) => conditionProblems(at('when', index), condition)),
    ]
  })
}

function textProblems(
  field: FieldPath,
  texts: readonly string[] = [],
  expectedOf: (text: string) => string | undefined,
): ValueProblem[] {
  return texts.flatMap((text, index) => {
    const expected = expectedOf(text)
    return expected === undefined ? [] : [{ field: [...field, index], expected, got: JSON.stringify(text) }]
  })
}

function conditionProblems(
  field: FieldPath,
  { key, values, notValues, expression }: PolicyCondition,
): ValueProblem[] {
  if (expression !== undefined) {
    const compiled = compileExpression(expression)
    if (compiled.kind === 'expression') return []
    return [{ field: [...field, 'expression'], expected: compiled.expected, got: compiled.got }]
  }
  const expectedOf = EXPECTED_VALUES[key!]
  if (expectedOf === undefined) return []
  return [
    ...textProblems([...field, 'values'], values, expectedOf),
    ...textProblems([...field, 'notValues'], notValues, expectedOf),
  ]
}

const EXPECTED_VALUES: Readonly<Record<string, (text: string) => string | undefined>> = {
  'connection.group': (text) =>
    text.includes('*') || GROUPS.some((group) => group === text) ? undefined : `one of ${GROUPS.join(', ')}`,
  'connection.sni': (text) => (text === text.toLowerCase() ? undefined : 'a name in lower case'),
}

function expectedHost(pattern: string): string | undefined {
  if (pattern === '*') return undefined
  const sample = pattern.replace(/^\*/, 'x')
  const normalized = normalizeHost(sample)
  if (normalized.kind === 'refused') return `a host that can be judged, not one with ${normalized.reason}`
  return normalized.host === sample ? undefined : `the host in its normal form, like ${normalized.host}`
}

function expectedPath(pattern: string): string | undefined {
  if (pattern === '*') return undefined
  // What a pattern stands for is not known; a letter stands in for it, so that `/.*` is no dot segment.
  const sample = pattern
    .split('/')
    .map((segment) => (isAnySegment(segment) ? 'x' : segment.replace(/\*$/, 'x')))
    .join('/')
  if (sample.includes('?')) return 'a path without a query'
  const normalized = normalizePath(sample)
  if (normalized.kind === 'refused') return `a path that can be judged, not one with ${normalized.reason}`
  return normalized.path === sample ? undefined : `the path in its normal form, like ${normalized.path}`
}
