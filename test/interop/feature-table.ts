/** The matrix of features as text. */
import { FEATURES, type Feature, type FeaturePeer } from './features.ts'

export type Outcome = 'pass' | 'FAIL'

export interface Row {
  readonly peer: FeaturePeer
  readonly outcomes: ReadonlyMap<Feature, Outcome>
}

/** One line for each row, then what the letters stand for. */
export function renderTable(rows: readonly Row[]): string[] {
  const notes = new Notes()
  const lines = [
    ['peer', 'version', ...FEATURES],
    ...rows.map((row) => [titleOf(row.peer), versionOf(row.peer), ...cellsOf(row, notes)]),
  ]
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return [
    ...lines.map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    ),
    ...notes.lines(),
  ]
}

/** The table of docs/interop.md, but for its versions, which are those of one machine. */
export function renderMarkdown(peers: readonly FeaturePeer[]): {
  readonly rows: string[][]
  readonly notes: string[]
} {
  const notes = new Notes()
  const rows = peers.map((peer) => [
    titleOf(peer),
    ...FEATURES.map((feature) => {
      const why = peer.unsupported[feature]
      return why === undefined ? '✓' : notes.letterOf(why)
    }),
  ])
  return { rows, notes: notes.lines() }
}

export function titleOf({ role, name }: FeaturePeer): string {
  return role === 'client' ? `${name} → serve` : `connect → ${name}`
}

function versionOf({ program }: FeaturePeer): string {
  return typeof program === 'string' ? '–' : program.version
}

function cellsOf({ peer, outcomes }: Row, notes: Notes): string[] {
  const { program, unsupported } = peer
  return FEATURES.map((feature) => {
    const why = unsupported[feature]
    if (why !== undefined) return `no (${notes.letterOf(why)})`
    if (typeof program === 'string') return `skipped (${notes.letterOf(program)})`
    return outcomes.get(feature) ?? 'not run'
  })
}

/** Reasons, each once, by letter. */
class Notes {
  readonly #reasons: string[] = []

  letterOf(reason: string): string {
    if (!this.#reasons.includes(reason)) this.#reasons.push(reason)
    return letterAt(this.#reasons.indexOf(reason))
  }

  lines(): string[] {
    return this.#reasons.map((reason, index) => `(${letterAt(index)}) ${reason}`)
  }
}

function letterAt(index: number): string {
  return String.fromCharCode('a'.charCodeAt(0) + index)
}
