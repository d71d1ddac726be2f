import { labelled, wrap, type Paint } from '../../diagnose/layout.ts'
import type { Evidence } from './step.ts'

/** How the demo's text may look. */
export interface Look {
  readonly paint: Paint
  readonly width: number
}

const INDENT = 4
const LABEL_COLUMNS = 19

/** The head of a step, before it runs. */
export function stepHead(
  { number, title, did }: { readonly number: number; readonly title: string; readonly did: string },
  { paint, width }: Look,
): string {
  return lines([
    `${paint(['bold', 'cyan'], String(number).padStart(2))}  ${paint('bold', title)}`,
    '',
    ...rows([['done', did]], { paint, width }),
  ])
}

/** What a step saw, and whether it held. */
export function stepOutcome(
  {
    number,
    proves,
    evidence,
  }: { readonly number: number; readonly proves: string; readonly evidence: Evidence },
  { paint, width }: Look,
): string {
  const look = { paint, width }
  const { faults, exhibit } = evidence
  const held = faults.length === 0
  const verdict = held
    ? paint(['bold', 'green'], `✔ step ${number} held`)
    : paint(['bold', 'red'], `✘ step ${number} did not hold`)
  const because = held
    ? rows([['so', proves]], look)
    : rows(
        faults.flatMap(({ expected, got }) => [['expected', expected] as const, ['got', got] as const]),
        look,
      )
  return lines([
    ...rows(evidence.rows, look),
    ...(exhibit === undefined ? [] : ['', exhibit.trimEnd(), '']),
    ...because,
    `  ${verdict}`,
    '',
  ])
}

/** A paragraph, indented. */
export function paragraph(text: string, { width }: Look, indent: number = INDENT): string {
  return lines(wrap(text, width - indent).map((line) => `${' '.repeat(indent)}${line}`))
}

/** Labels and texts in two columns. */
export function table(pairs: readonly (readonly [string, string])[], look: Look): string {
  return lines(rows(pairs, look))
}

function rows(pairs: readonly (readonly [string, string])[], { paint, width }: Look): string[] {
  const inOneLine = pairs.map(([label, text]) => [label, text.trim().replaceAll(/\s*\n\s*/g, ' ')] as const)
  return labelled(inOneLine, { indent: INDENT, label: LABEL_COLUMNS, width }, (text) => paint('dim', text))
}

function lines(parts: readonly string[]): string {
  return `${parts.join('\n')}\n`
}
