import type { AuthorizationPolicy } from '../../config/policy-config.ts'
import type { FieldPath } from '../../config/yaml-position.ts'
import type { ValueProblem } from '../value-problems.ts'
import { FIELD_PAIRS, values } from './coverage.ts'

/** Values that the same entry both wants and excludes: whoever wrote that meant something else. */
export function contradictions({ spec }: AuthorizationPolicy): ValueProblem[] {
  return spec.rules.flatMap(({ from = [], to = [], when = [] }, rule) => {
    const at = (...path: FieldPath): FieldPath => ['spec', 'rules', rule, ...path]
    return [
      ...from.flatMap((entry, index) => inEntry(entry, at('from', index))),
      ...to.flatMap((entry, index) => [
        ...inEntry(entry, at('to', index)),
        ...(entry.headers ?? []).flatMap((header, place) =>
          inLists(header, ['values', 'notValues'], at('to', index, 'headers', place)),
        ),
      ]),
      ...when.flatMap((condition, index) => inLists(condition, ['values', 'notValues'], at('when', index))),
    ]
  })
}

function inEntry(entry: object, field: FieldPath): ValueProblem[] {
  return Object.entries(FIELD_PAIRS).flatMap((names) => inLists(entry, names, field))
}

function inLists(
  entry: object,
  [wanting, excluding]: readonly [string, string],
  field: FieldPath,
): ValueProblem[] {
  const wanted = values(entry, wanting)
  if (wanted === undefined) return []
  return (values(entry, excluding) ?? []).flatMap((value, index) =>
    wanted.includes(value)
      ? [
          {
            field: [...field, excluding, index],
            expected: `a value that ${wanting} does not want`,
            got: JSON.stringify(value),
          },
        ]
      : [],
  )
}
