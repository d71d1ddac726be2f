import type { AuthorizationPolicy } from '../config/policy-config.ts'
import type { FieldPath } from '../config/yaml-position.ts'
import { normalizePath } from './path.ts'

/** A path pattern that no request is ever spelt like; its rule would never match. */
export interface DeadPath {
  readonly field: FieldPath
  readonly pattern: string
  /** A noun phrase: what would have been accepted. */
  readonly expected: string
}

/** Every path pattern of the policy that is not in the spelling of {@link normalizePath}. */
export function deadPaths(policy: AuthorizationPolicy): DeadPath[] {
  return policy.spec.rules.flatMap((rule, ruleIndex) =>
    (rule.to ?? []).flatMap((operation, operationIndex) =>
      (['paths', 'notPaths'] as const).flatMap((name) =>
        (operation[name] ?? []).flatMap((pattern, index) => {
          const expected = expectedPath(pattern)
          const field = ['spec', 'rules', ruleIndex, 'to', operationIndex, name, index]
          return expected === undefined ? [] : [{ field, pattern, expected }]
        }),
      ),
    ),
  )
}

function expectedPath(pattern: string): string | undefined {
  if (pattern === '*') return undefined
  // What follows a prefix is not known; a letter stands in for it, so that `/.*` is no dot segment.
  const standIn = pattern.endsWith('*') ? 'x' : ''
  const sample = standIn === '' ? pattern : pattern.slice(0, -1) + standIn
  if (sample.includes('?')) return 'a path without a query'
  const normalized = normalizePath(sample)
  if (normalized.kind === 'refused') return `a path that can be judged, not one with ${normalized.reason}`
  return normalized.path === sample ? undefined : `the path in its normal form, like ${normalized.path}`
}
