import type { LoadResult, Workload, WorkloadName } from './workload.ts'

/** One run of one workload over one pair. */
export interface Measurement extends LoadResult {
  readonly pair: string
  readonly workload: WorkloadName
  /** Processor time of both proxies meanwhile; absent where it cannot be read. */
  readonly cpuSeconds?: number
  /** Resident memory of both proxies afterwards. */
  readonly residentMiB?: number
}

/** The medians of one workload over one pair. */
export interface Row {
  readonly workload: WorkloadName
  readonly pair: string
  readonly rate: number
  /** Of the rate, to that of the first pair. */
  readonly ratio: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time of both proxies, in the workload's unit. */
  readonly cost?: number
  readonly costRatio?: number
  readonly residentMiB?: number
}

/** Medians over the rounds; ratios are to the pair that was measured first. */
export function rowsOf(measurements: readonly Measurement[], workloads: readonly Workload[]): readonly Row[] {
  return workloads.flatMap((workload) => {
    const runs = measurements.filter((measurement) => measurement.workload === workload.name)
    const names = [...new Set(runs.map(({ pair }) => pair))]
    const [first, ...others] = names.map((name) =>
      rowOf(
        workload,
        runs.filter(({ pair }) => pair === name),
      ),
    )
    return first === undefined ? [] : [first, ...others.map((row) => compared(row, first))]
  })
}

function compared(row: Row, base: Row): Row {
  return {
    ...row,
    ratio: row.rate / base.rate,
    ...(row.cost !== undefined && base.cost !== undefined && { costRatio: row.cost / base.cost }),
  }
}

function rowOf(workload: Workload, runs: readonly Measurement[]): Row {
  const costs = runs.flatMap((run) =>
    run.cpuSeconds === undefined ? [] : [workload.cost(run.cpuSeconds, run)],
  )
  const memory = runs.flatMap(({ residentMiB }) => (residentMiB === undefined ? [] : [residentMiB]))
  return {
    workload: workload.name,
    pair: runs[0]!.pair,
    rate: median(runs.map(workload.rate)),
    ratio: 1,
    p50Ms: median(runs.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(runs.map(({ p99Ms }) => p99Ms)),
    ...(costs.length > 0 && { cost: median(costs) }),
    ...(memory.length > 0 && { residentMiB: median(memory) }),
  }
}

/** One block for each workload; × is the ratio to the first pair. */
export function tableOf(rows: readonly Row[], workloads: readonly Workload[]): string {
  const measured = workloads.filter(({ name }) => rows.some(({ workload }) => workload === name))
  const blocks = measured.map(({ name, title, costTitle, connections }) => {
    const head = line(`${connections} at a time`, title, '×', 'p50 ms', 'p99 ms', costTitle, '×', 'MiB both')
    const body = rows
      .filter(({ workload }) => workload === name)
      .map((row) =>
        line(
          row.pair,
          figure(row.rate),
          row.ratio.toFixed(2),
          name === 'bulk' ? '' : row.p50Ms.toFixed(2),
          name === 'bulk' ? '' : row.p99Ms.toFixed(2),
          row.cost === undefined ? '' : figure(row.cost),
          row.costRatio === undefined ? '' : row.costRatio.toFixed(2),
          row.residentMiB === undefined ? '' : figure(row.residentMiB),
        ),
      )
    return [head, ...body].join('\n')
  })
  return blocks.join('\n\n')
}

function line(name: string, ...cells: readonly string[]): string {
  const [rate = '', ratio = '', p50 = '', p99 = '', cost = '', costRatio = '', memory = ''] = cells
  return `${name.padEnd(18)}${rate.padStart(13)}${ratio.padStart(7)}${p50.padStart(9)}${p99.padStart(9)}${cost.padStart(15)}${costRatio.padStart(7)}${memory.padStart(11)}`
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
