import type { Fact, FailureExplanation, HandshakeExplanation, Stage, Transition } from './explanation.ts'
import { labelled, painter, wrap, type Paint, type RenderOptions } from './layout.ts'
import { renderStep } from './render-steps.ts'
import { millisecondsText, momentText } from './time-text.ts'

const TITLE_INDENT = 5
const FAILURE_LABEL_COLUMNS = 12
const OBSERVER_LABEL_COLUMNS = 16
/** Of the two transitions: direction, readable, handshake, data. */
const TRANSITION_COLUMNS = [19, 18, 22, 16]

interface Rendering {
  readonly explanation: HandshakeExplanation
  readonly paint: Paint
  readonly width: number
}

/** An explanation as text for people, laid out in columns; it ends with a line feed. */
export function renderExplanation(
  explanation: HandshakeExplanation,
  { colour, width }: RenderOptions,
): string {
  const rendering: Rendering = { explanation, paint: painter(colour), width }
  const sections = [
    header(rendering),
    ...explanation.stages.map((stage) => stageLines(stage, rendering)),
    transitionLines(rendering),
    observerLines(rendering),
    ...(explanation.failure === undefined ? [] : [failureLines(explanation.failure, rendering)]),
  ]
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

function header({ explanation, paint, width }: Rendering): string[] {
  const title = `${explanation.settled.version ?? 'TLS'} handshake, as the ${explanation.perspective} saw it`
  const { text, format } = outcomeText(explanation)
  const gap = ' '.repeat(Math.max(2, width - title.length - text.length))
  const note = 'numbered as they came, grouped by what they settle'
  return [
    `${paint('bold', title)}${gap}${paint([format, 'bold'], text)}`,
    ...wrap(`${momentText(explanation.startedAtMs)}; ${note}`, width).map((line) => paint('dim', line)),
  ]
}

function outcomeText({ outcome, establishedAfterMs, failure }: HandshakeExplanation): {
  readonly text: string
  readonly format: 'green' | 'red' | 'yellow'
} {
  switch (outcome) {
    case 'established':
      return { text: `✓ established after ${millisecondsText(establishedAfterMs ?? 0)}`, format: 'green' }
    case 'refused':
      return { text: `✗ failed at stage ${failure?.stage ?? 1} of 5`, format: 'red' }
    case 'broken':
      return { text: '✗ broken after it was established', format: 'red' }
    case 'unfinished':
      return { text: '· not finished', format: 'yellow' }
  }
}

function stageLines(stage: Stage, { explanation, paint, width }: Rendering): string[] {
  const { mark, format } = MARKS[stage.status]
  const title = `${paint(format, mark)} ${paint('bold', `${stage.number}  ${stage.question}`)}`
  if (stage.status === 'open' && stage.steps.length === 0) return [`${title}${paint('dim', '  not reached')}`]
  const answer = stage.answer ?? 'not settled'
  const answerLines = wrap(answer, width - TITLE_INDENT).map(
    (piece) => `${' '.repeat(TITLE_INDENT)}${paint(format, piece)}`,
  )
  const rendering = { paint, width, startedAtMs: explanation.startedAtMs }
  const steps = stage.steps.flatMap((step) => renderStep(step, rendering))
  return steps.length === 0 ? [title, ...answerLines] : [title, ...answerLines, '', ...steps]
}

const MARKS = {
  answered: { mark: '✓', format: 'green' },
  failed: { mark: '✗', format: 'red' },
  open: { mark: '·', format: 'dim' },
} as const

function transitionLines({ explanation, paint }: Rendering): string[] {
  const isRetried = explanation.settled.retry !== undefined
  const heads = ['', 'readable', 'encrypted handshake', 'application data']
  return [
    paint('bold', '  Two transitions in each direction'),
    `  ${paint('dim', cells(heads))}`,
    ...explanation.transitions.flatMap((transition) => [
      `  ${cells(transitionCells(transition, isRetried))}`,
      ...earlyLines(transition, isRetried),
    ]),
  ]
}

function transitionCells(
  { from, earlyAfterMs, handshakeAfterMs, applicationAfterMs }: Transition,
  isRetried: boolean,
): string[] {
  // Another ClientHello is readable, whatever went before it.
  const readableUntilMs = isRetried ? handshakeAfterMs : (earlyAfterMs ?? handshakeAfterMs)
  return [
    from === 'client' ? 'client ──▶ server' : 'client ◀── server',
    readableUntilMs === undefined ? 'throughout' : `until ${millisecondsText(readableUntilMs)}`,
    handshakeAfterMs === undefined ? 'never' : `from ${millisecondsText(handshakeAfterMs)}`,
    applicationAfterMs === undefined ? 'never' : `from ${millisecondsText(applicationAfterMs)}`,
  ]
}

function earlyLines({ from, earlyAfterMs }: Transition, isRetried: boolean): string[] {
  if (earlyAfterMs === undefined) return []
  const indent = ' '.repeat(2 + TRANSITION_COLUMNS[0]!)
  const until = isRetried ? ' until the HelloRetryRequest' : ''
  return [
    `${indent}early data of the ${from} from ${millisecondsText(earlyAfterMs)}${until}, under keys of the ticket alone`,
  ]
}

function cells(texts: readonly string[]): string {
  return texts
    .map((text, index) => text.padEnd(TRANSITION_COLUMNS[index]!))
    .join('')
    .trimEnd()
}

function observerLines({ explanation, paint, width }: Rendering): string[] {
  const { saw, hidden } = explanation.observer
  const column = { indent: TITLE_INDENT, label: OBSERVER_LABEL_COLUMNS, width }
  const dim = (text: string): string => paint('dim', text)
  return [
    paint('bold', '  What an observer on the wire learned'),
    ...labelled(saw.map(row), column, dim),
    paint('bold', '  and did not learn'),
    ...labelled(
      hidden.length === 0 ? [['nothing', 'was hidden: the talk never became encrypted']] : hidden.map(row),
      column,
      dim,
    ),
  ]
}

function row({ label, value }: Fact): [string, string] {
  return [label, typeof value === 'string' ? value : value.join(', ')]
}

function failureLines(failure: FailureExplanation, { explanation, paint, width }: Rendering): string[] {
  const stage = explanation.stages[failure.stage - 1]
  const rows: [string, string][] = [
    ['message', failure.message],
    ['stage', `${failure.stage} of 5: ${stage?.question ?? ''}`],
    ['reached', failure.reached],
    ['refused by', refusalText(failure, explanation)],
    ...failure.evidence.map((line): [string, string] => ['evidence', line]),
    ['meaning', failure.explanation],
    ['remedy', failure.remedy],
  ]
  const column = { indent: 2, label: FAILURE_LABEL_COLUMNS, width }
  return [
    paint(['red', 'bold'], `✗ ${failure.title} (${failure.code})`),
    ...labelled(rows, column, (text) => paint('dim', text)),
  ]
}

function refusalText(
  { refusedBy, alert }: FailureExplanation,
  { perspective }: HandshakeExplanation,
): string {
  if (refusedBy === undefined) return 'neither side: the connection itself ended'
  const who = refusedBy === perspective ? `the ${refusedBy} (this side)` : `the ${refusedBy}`
  return alert === undefined ? `${who}, without an alert` : `${who}, by the alert ${alert.description}`
}
