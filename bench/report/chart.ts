import type { Workload } from '../load/workload.ts'
import type { Row } from './rows.ts'

const WIDTH = 860
const NAME_WIDTH = 190
const BAR_HEIGHT = 16
const GAP = 6
const TITLE_HEIGHT = 30
const COLOURS = ['#8a8f98', '#1f6feb', '#7fb069', '#e6a23c', '#b565a7', '#5b9aa0', '#c0504d']

/** An SVG with one block of bars for each workload: speed where it has one, else the 99th percentile. */
export function chartOf(rows: readonly Row[], workloads: readonly Workload[]): string {
  const names = [...new Set(rows.map(({ pair }) => baseOf(pair)))]
  const blocks: string[] = []
  let top = GAP
  for (const workload of workloads) {
    const own = rows.filter(({ workload: name }) => name === workload.name)
    if (own.length === 0) continue
    const value = (row: Row): number => (workload.speed === undefined ? row.p99Ms : row.speed!)
    const unit = workload.speed?.title ?? 'ms at the 99th percentile; less is better'
    const largest = Math.max(...own.map(value))
    blocks.push(text(GAP, top + 20, `${workload.title} (${unit})`, 'font-weight="bold"'))
    top += TITLE_HEIGHT
    for (const row of own) {
      const width = ((WIDTH - NAME_WIDTH - 110) * value(row)) / largest
      const colour = COLOURS[names.indexOf(baseOf(row.pair)) % COLOURS.length]
      blocks.push(
        text(NAME_WIDTH - GAP, top + 12, row.pair, 'text-anchor="end"'),
        `<rect x="${NAME_WIDTH}" y="${top}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" fill="${colour}"/>`,
        text(
          NAME_WIDTH + width + GAP,
          top + 12,
          value(row).toLocaleString('en', { maximumSignificantDigits: 3 }),
        ),
      )
      top += BAR_HEIGHT + GAP
    }
    top += GAP
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${blocks.join('\n')}
</svg>
`
}

/** Both kinds of one proxy have one colour. */
function baseOf(pair: string): string {
  return pair.split(',', 1)[0]!
}

function text(x: number, y: number, content: string, attributes = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x.toFixed(1)}" y="${y}" ${attributes}>${escaped}</text>`
}
