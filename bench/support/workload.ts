/** What load is put on a pair; see load.ts. */
export type WorkloadName = 'requests' | 'connections' | 'bulk'

/** What the load generator counted. */
export interface LoadResult {
  readonly seconds: number
  readonly answers: number
  /** Of the answers' bodies. */
  readonly bytes: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface Workload {
  readonly name: WorkloadName
  readonly connections: number
  readonly seconds: number
  /** What is counted, and in what unit. */
  readonly title: string
  readonly rate: (result: LoadResult) => number
  /** What a proxy pair's processor time is divided by. */
  readonly costTitle: string
  readonly cost: (cpuSeconds: number, result: LoadResult) => number
}

/** Concurrency as of a busy sidecar, durations such that the whole run stays under two minutes. */
export const WORKLOADS: readonly Workload[] = [
  {
    name: 'connections',
    connections: 8,
    seconds: 2,
    title: 'handshakes/s',
    rate: ({ answers, seconds }) => answers / seconds,
    costTitle: 'CPU ms each',
    cost: (cpu, { answers }) => (1000 * cpu) / answers,
  },
  {
    name: 'requests',
    connections: 32,
    seconds: 2,
    title: 'requests/s',
    rate: ({ answers, seconds }) => answers / seconds,
    costTitle: 'CPU µs each',
    cost: (cpu, { answers }) => (1e6 * cpu) / answers,
  },
  {
    name: 'bulk',
    connections: 1,
    seconds: 2,
    title: 'MB/s',
    rate: ({ bytes, seconds }) => bytes / 1e6 / seconds,
    costTitle: 'CPU s per GB',
    cost: (cpu, { bytes }) => (1e9 * cpu) / bytes,
  },
]
