import type { Workload } from '../load/workload.ts'
import type { MemoryRow, Row } from './rows.ts'

/** Markdown: one table for each workload that was measured; × is the ratio to the first pair of the table. */
export function tablesOf(rows: readonly Row[], workloads: readonly Workload[]): string {
  return workloads
    .flatMap((workload) => {
      const own = rows.filter(({ workload: name }) => name === workload.name)
      return own.length === 0 ? [] : [tableOf(workload, own)]
    })
    .join('\n\n')
}

/** Markdown: what the proxies of each pair take. */
export function memoryTableOf(rows: readonly MemoryRow[]): string {
  const head = [
    'memory of one proxy, MiB',
    'idle, RSS',
    'idle, private',
    'after load, RSS',
    'after load, private',
    'idle connections held',
    'KiB each',
  ]
  const body = rows.map((row) => [
    row.pair,
    figure(row.residentMiB),
    figure(row.privateMiB),
    figure(row.loadedResidentMiB),
    figure(row.loadedPrivateMiB),
    row.held === undefined ? '' : String(row.held),
    row.perConnectionKiB === undefined ? '' : figure(row.perConnectionKiB),
  ])
  return markdown(head, body)
}

function tableOf({ title, speed, cost, hasLatency }: Workload, rows: readonly Row[]): string {
  const head = [
    title,
    ...(speed === undefined ? [] : [speed.title, '×']),
    ...(hasLatency ? ['p50 ms', 'p99 ms', '×', 'p99.9 ms'] : []),
    ...(cost === undefined ? [] : [cost.title, '×']),
    ...(hasLatency ? ['GC ms per s', 'stops > 10 ms'] : []),
  ]
  const body = rows.map((row) => [
    row.pair,
    ...(speed === undefined ? [] : [figure(row.speed), ratio(row.speedRatio)]),
    ...(hasLatency ? [figure(row.p50Ms), figure(row.p99Ms), ratio(row.p99Ratio), figure(row.p999Ms)] : []),
    ...(cost === undefined ? [] : [figure(row.cost), ratio(row.costRatio)]),
    ...(hasLatency ? [figure(row.stoppedMsPerSecond), row.longStops?.toString() ?? ''] : []),
  ])
  return markdown(head, body)
}

function markdown(head: readonly string[], body: readonly (readonly string[])[]): string {
  const widths = head.map((cell, column) =>
    Math.max(3, cell.length, ...body.map((row) => row[column]!.length)),
  )
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join(' | ')} |`
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(head), rule, ...body.map(line)].join('\n')
}

function ratio(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(2)
}

function figure(value: number | undefined): string {
  if (value === undefined) return ''
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)
}
