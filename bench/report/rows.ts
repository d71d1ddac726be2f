import type { LoadResult, Workload, WorkloadName } from '../load/workload.ts'

/** One run of one workload over one pair. */
export interface Measurement extends LoadResult {
  readonly pair: string
  readonly workload: WorkloadName
  /** Processor time of both proxies meanwhile; absent where it cannot be read. */
  readonly cpuSeconds?: number
  /** Stops by the garbage collectors of both proxies meanwhile, how long they took together, and how many took more than 10 ms. */
  readonly collections?: number
  readonly collectionMs?: number
  readonly longCollections?: number
}

/** The medians of one workload over one pair; ratios are to the first pair of that workload. */
export interface Row {
  readonly workload: WorkloadName
  readonly pair: string
  readonly speed?: number
  readonly speedRatio?: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p99Ratio: number
  readonly p999Ms: number
  /** Processor time of both proxies, in the workload's unit. */
  readonly cost?: number
  readonly costRatio?: number
  /** Over all rounds: how long the garbage collector stopped the proxies, in milliseconds a second, and how often for more than 10 ms. */
  readonly stoppedMsPerSecond?: number
  readonly longStops?: number
}

/** What the proxies of a pair take, as the mean of the two. */
export interface MemoryRow {
  readonly pair: string
  /** Before any load. */
  readonly residentMiB: number
  readonly privateMiB: number
  /** After all load but that of idle connections. */
  readonly loadedResidentMiB: number
  readonly loadedPrivateMiB: number
  /** How many idle connections were held, and what each added to private memory; absent where none were. */
  readonly held?: number
  readonly perConnectionKiB?: number
}

/** Medians over the rounds. */
export function rowsOf(measurements: readonly Measurement[], workloads: readonly Workload[]): readonly Row[] {
  return workloads.flatMap((workload) => {
    const runs = measurements.filter((measurement) => measurement.workload === workload.name)
    const names = [...new Set(runs.map(({ pair }) => pair))]
    const rows = names.map((name) =>
      rowOf(
        workload,
        runs.filter(({ pair }) => pair === name),
      ),
    )
    return rows.map((row) => compared(row, rows[0]!))
  })
}

function rowOf({ name, speed, cost }: Workload, runs: readonly Measurement[]): Row {
  const costs = runs.flatMap((run) =>
    run.cpuSeconds === undefined || cost === undefined ? [] : [cost.of(run.cpuSeconds, run)],
  )
  return {
    workload: name,
    pair: runs[0]!.pair,
    ...(speed !== undefined && { speed: median(runs.map(speed.of)) }),
    p50Ms: median(runs.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(runs.map(({ p99Ms }) => p99Ms)),
    p99Ratio: 1,
    p999Ms: median(runs.map(({ p999Ms }) => p999Ms)),
    ...(costs.length > 0 && { cost: median(costs) }),
    ...stopsOf(runs),
  }
}

function stopsOf(runs: readonly Measurement[]): Pick<Row, 'stoppedMsPerSecond' | 'longStops'> {
  const sum = (values: readonly (number | undefined)[]): number =>
    values.reduce<number>((total, value) => total + (value ?? 0), 0)
  if (runs[0]!.collections === undefined) return {}
  return {
    stoppedMsPerSecond:
      sum(runs.map(({ collectionMs }) => collectionMs)) / sum(runs.map(({ seconds }) => seconds)),
    longStops: sum(runs.map(({ longCollections }) => longCollections)),
  }
}

function compared(row: Row, base: Row): Row {
  return {
    ...row,
    p99Ratio: row.p99Ms / base.p99Ms,
    ...(row.speed !== undefined && base.speed !== undefined && { speedRatio: row.speed / base.speed }),
    ...(row.cost !== undefined && base.cost !== undefined && { costRatio: row.cost / base.cost }),
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
