/** What load is put on a pair; see load.ts. */
export type WorkloadName =
  | 'handshakes'
  | 'resumed'
  | 'requests'
  | 'many-requests'
  | 'bulk'
  | 'many-bulk'
  | 'latency'
  | 'idle'

/** How the load generator goes about it; see load.ts. */
export type LoadMode = 'requests' | 'connections' | 'bulk' | 'rate' | 'idle'

/** What the load generator counted. */
export interface LoadResult {
  readonly seconds: number
  readonly answers: number
  /** Of the answers' bodies. */
  readonly bytes: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
}

export interface Workload {
  readonly name: WorkloadName
  readonly mode: LoadMode
  readonly connections: number
  readonly seconds: number
  /** Requests a second, in mode `rate`. */
  readonly rate?: number
  readonly title: string
  /** What is counted, in what unit; absent where only latency or memory is looked at. */
  readonly speed?: { readonly title: string; readonly of: (result: LoadResult) => number }
  /** What a proxy pair's processor time is divided by. */
  readonly cost?: {
    readonly title: string
    readonly of: (cpuSeconds: number, result: LoadResult) => number
  }
  /** Whether the time of single answers means anything. */
  readonly hasLatency: boolean
}

const answersPerSecond = ({ answers, seconds }: LoadResult): number => answers / seconds
const megabytesPerSecond = ({ bytes, seconds }: LoadResult): number => bytes / 1e6 / seconds
const perAnswerMs = {
  title: 'CPU ms each',
  of: (cpu: number, { answers }: LoadResult): number => (1000 * cpu) / answers,
}
const perAnswerMicros = {
  title: 'CPU µs each',
  of: (cpu: number, { answers }: LoadResult): number => (1e6 * cpu) / answers,
}
const perGigabyte = {
  title: 'CPU s per GB',
  of: (cpu: number, { bytes }: LoadResult): number => (1e9 * cpu) / bytes,
}

/** In the order of the report. */
export const WORKLOADS: readonly Workload[] = [
  {
    name: 'handshakes',
    mode: 'connections',
    connections: 8,
    seconds: 3,
    title: 'new connections, full handshakes, 8 at a time',
    speed: { title: 'per second', of: answersPerSecond },
    cost: perAnswerMs,
    hasLatency: true,
  },
  {
    name: 'resumed',
    mode: 'connections',
    connections: 8,
    seconds: 3,
    title: 'new connections, sessions resumed, 8 at a time',
    speed: { title: 'per second', of: answersPerSecond },
    cost: perAnswerMs,
    hasLatency: true,
  },
  {
    name: 'requests',
    mode: 'requests',
    connections: 32,
    seconds: 3,
    title: 'small requests, 32 connections kept alive',
    speed: { title: 'per second', of: answersPerSecond },
    cost: perAnswerMicros,
    hasLatency: true,
  },
  {
    name: 'many-requests',
    mode: 'requests',
    connections: 256,
    seconds: 3,
    title: 'small requests, 256 connections kept alive',
    speed: { title: 'per second', of: answersPerSecond },
    cost: perAnswerMicros,
    hasLatency: true,
  },
  {
    name: 'bulk',
    mode: 'bulk',
    connections: 1,
    seconds: 3,
    title: 'one bulk stream',
    speed: { title: 'MB per second', of: megabytesPerSecond },
    cost: perGigabyte,
    hasLatency: false,
  },
  {
    name: 'many-bulk',
    mode: 'bulk',
    connections: 64,
    seconds: 3,
    title: '64 bulk streams',
    speed: { title: 'MB per second', of: megabytesPerSecond },
    cost: perGigabyte,
    hasLatency: false,
  },
  {
    name: 'latency',
    mode: 'rate',
    connections: 64,
    seconds: 5,
    rate: 3000,
    title: '3,000 small requests a second, whatever the answers do (open loop)',
    cost: perAnswerMicros,
    hasLatency: true,
  },
  {
    name: 'idle',
    mode: 'idle',
    connections: 10_000,
    seconds: 0,
    title: 'idle connections',
    hasLatency: false,
  },
]
