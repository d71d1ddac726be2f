import type { FailureExplanation } from '../../diagnose/explanation.ts'
import { labelled } from '../../diagnose/layout.ts'

/** A failure in short: what, why, and what to do; it ends with a line feed. */
export function failureText(failure: FailureExplanation, width: number): string {
  const rows = [
    ...failure.evidence.map((line) => ['evidence', line] as const),
    ['meaning', failure.explanation] as const,
    ['remedy', failure.remedy] as const,
  ]
  const lines = labelled(rows, { indent: 2, label: 10, width }, (label) => label)
  return `handfast: ${failure.code}: ${failure.message}\n${lines.join('\n')}\n`
}
