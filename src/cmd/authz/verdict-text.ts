/** A decision for a person to read: rule by rule, field by field. */
import type { FieldReport, RuleReport } from '../../authz/explain.ts'

/** Of a decision what is shown of it. */
export interface ShownVerdict {
  readonly verdict: 'permit' | 'denial'
  readonly cause: string
  readonly reason: string
  readonly rules: readonly RuleReport[]
}

/** The verdict, and under it what each rule wanted and what came. */
export function verdictText({ verdict, cause, reason, rules }: ShownVerdict): string {
  const title = `${verdict === 'permit' ? 'Permitted' : 'Denied'}: ${reason} (${cause})\n`
  return `${title}${rules.map(ruleText).join('')}`
}

function ruleText({ policy, action, dryRun, rule, matches, fields }: RuleReport): string {
  const title = `${action} ${policy} rule ${rule}${dryRun ? ', on trial' : ''}: ${matches ? 'matches' : 'does not match'}`
  const width = Math.max(0, ...fields.map(({ field }) => field.length))
  const lines =
    fields.length === 0 ? ['    matches everything'] : fields.map((field) => fieldText(field, width))
  return `\n  ${title}\n${lines.join('\n')}\n`
}

function fieldText({ field, wanted, got, holds }: FieldReport, width: number): string {
  const came = got === undefined ? 'nothing came' : `came ${got}`
  const line = `    ${holds ? '✓' : '✗'} ${field.padEnd(width)}  ${came}`
  if (holds) return line
  const values = wanted.join(', ')
  return `${line}; would match: ${/\.not[A-Z]\w*$/.test(field) ? `anything but ${values}` : values}`
}
