import { nameOfCertificate } from './certificates.ts'
import type {
  AlertStep,
  CertificateSummary,
  CheckStep,
  Fact,
  MessageStep,
  NoteStep,
  Side,
  Step,
} from './explanation.ts'
import { labelled, wrap, type Paint } from './layout.ts'
import { millisecondsText, validityText } from './time-text.ts'

/** `#12` and its margins, then the time, then everything else. */
const ORDER_COLUMNS = 5
const TIME_COLUMNS = 11
const TEXT_INDENT = ORDER_COLUMNS + TIME_COLUMNS + 2
const NAME_COLUMNS = 20
const BYTES_COLUMNS = 11
const FACT_LABEL_COLUMNS = 14

/** What a direction carries under new keys. */
const PROTECTED = {
  early: 'early data (0-RTT, may be replayed)',
  handshake: 'encrypted handshake',
  application: 'application data',
} as const

export interface StepRendering {
  readonly paint: Paint
  readonly width: number
  /** Since the Unix epoch, for what is left of certificates. */
  readonly startedAtMs: number
}

/** The lines of one step. */
export function renderStep(step: Step, rendering: StepRendering): string[] {
  const { paint } = rendering
  const margin = marginOf(step, paint)
  switch (step.kind) {
    case 'message':
      return [`${margin}${messageLine(step, paint)}`, ...factLines(step, rendering)]
    case 'alert':
      return [`${margin}${alertLine(step, paint)}`]
    case 'change_cipher_spec':
      return [
        `${margin}${arrow(step.from, { sealed: false, paint })}  ${paint('dim', 'change_cipher_spec  legacy, changes nothing')}`,
      ]
    case 'transition': {
      return [
        `${margin}${arrow(step.from, { sealed: true, paint })}  ${paint(['green', 'bold'], `${PROTECTED[step.to]} from here on`)}`,
      ]
    }
    case 'check':
      return remarkLines(step, `${margin}${paint('green', '✓')}`, rendering)
    case 'note':
      return remarkLines(step, `${margin}${paint('yellow', '·')}`, rendering)
  }
}

/** `client ──▶ server`, with a double line where the content is sealed. */
function arrow(from: Side, { sealed, paint }: { readonly sealed: boolean; readonly paint: Paint }): string {
  const shaft = sealed ? '══' : '──'
  const head = from === 'client' ? `${shaft}▶` : `◀${shaft}`
  return `client ${paint(sealed ? 'green' : 'yellow', head)} server`
}

function marginOf(step: Step, paint: Paint): string {
  const order = step.kind === 'message' || step.kind === 'alert' ? `#${step.order}` : ''
  const time = millisecondsText(step.afterMs)
  return paint('dim', `${order.padStart(ORDER_COLUMNS)}${time.padStart(TIME_COLUMNS)}  `)
}

function messageLine({ from, name, bytes, protection }: MessageStep, paint: Paint): string {
  const sealed = protection !== 'plaintext'
  const title = paint('bold', name.padEnd(NAME_COLUMNS))
  return `${arrow(from, { sealed, paint })}  ${title}${`${bytes} bytes`.padStart(BYTES_COLUMNS)}   ${readability(sealed, paint)}`
}

function alertLine({ from, description, protection }: AlertStep, paint: Paint): string {
  const sealed = protection !== 'plaintext'
  const title = paint(
    description === 'close_notify' ? ['bold'] : ['bold', 'red'],
    `alert ${description}`.padEnd(NAME_COLUMNS + BYTES_COLUMNS),
  )
  return `${arrow(from, { sealed, paint })}  ${title}   ${readability(sealed, paint)}`
}

function readability(sealed: boolean, paint: Paint): string {
  return sealed ? paint('green', 'encrypted') : paint('yellow', 'readable')
}

function remarkLines({ text }: CheckStep | NoteStep, mark: string, { width }: StepRendering): string[] {
  return wrap(text, width - TEXT_INDENT - 2).map((piece, index) =>
    index === 0 ? `${mark} ${piece}` : `${' '.repeat(TEXT_INDENT + 2)}${piece}`,
  )
}

function factLines(message: MessageStep, { paint, width, startedAtMs }: StepRendering): string[] {
  const atMs = startedAtMs + message.afterMs
  const column = { indent: TEXT_INDENT, label: FACT_LABEL_COLUMNS, width }
  const plain = message.facts.filter(({ legacy }) => legacy === undefined)
  const legacy = message.facts.filter(({ legacy }) => legacy !== undefined)
  const dim = (text: string): string => paint('dim', text)
  return [
    ...labelled(plain.map(row), column, dim),
    ...message.certificates.flatMap((certificate, index) =>
      labelled(certificateRows(certificate, index, atMs), column, dim),
    ),
    ...labelled(legacy.map(row), column, dim),
  ]
}

function row({ label, value }: Fact): [string, string] {
  return [label, typeof value === 'string' ? value : value.join(', ')]
}

function certificateRows(summary: CertificateSummary, index: number, atMs: number): [string, string][] {
  const name = nameOfCertificate(summary)
  const others = summary.names.filter((other) => other !== name)
  const rows: [string, string][] = [[index === 0 ? 'certificate' : 'sent with it', name]]
  if (others.length > 0) rows.push(['  also for', others.join(', ')])
  rows.push(['  issued by', summary.issuer], ['  valid', validityText(summary, atMs)])
  return rows
}
