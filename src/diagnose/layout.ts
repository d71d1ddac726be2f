/** Laying text out in columns of a fixed-width font. Widths are counted before colour is added. */
import { styleText } from 'node:util'

/** How a rendering may look. */
export interface RenderOptions {
  readonly colour: boolean
  /** Columns to fill, 80 or more. */
  readonly width: number
}

type Format = Parameters<typeof styleText>[0]

/** Colours text, or leaves it alone where there is no colour. */
export type Paint = (format: Format, text: string) => string

/** The paint of a rendering. */
export function painter(colour: boolean): Paint {
  return colour ? (format, text) => styleText(format, text, { validateStream: false }) : (_, text) => text
}

/** Breaks text into lines at spaces, and inside words only where a word alone is too long. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length <= width) {
      line += ` ${word}`
      continue
    }
    if (line !== '') lines.push(line)
    line = word
    while (line.length > width) {
      lines.push(line.slice(0, width))
      line = line.slice(width)
    }
  }
  lines.push(line)
  return lines
}

export interface Column {
  /** Columns before the label. */
  readonly indent: number
  /** Columns of the label with the space behind it. */
  readonly label: number
  readonly width: number
}

/** Rows of a label and a text that wraps in its own column; a label that repeats is shown once. */
export function labelled(
  rows: readonly (readonly [label: string, text: string])[],
  { indent, label, width }: Column,
  paintLabel: (text: string) => string,
): string[] {
  const lines: string[] = []
  let previous: string | undefined
  for (const [name, text] of rows) {
    for (const [index, piece] of wrap(text, width - indent - label).entries()) {
      const shown = index === 0 && name !== previous ? name : ''
      lines.push(`${' '.repeat(indent)}${paintLabel(shown.padEnd(label))}${piece}`)
    }
    previous = name
  }
  return lines
}
