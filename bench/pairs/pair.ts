import type { WorkloadName } from '../load/workload.ts'
import type { Program } from '../support/program.ts'

/** client → A = mutual TLS = B → backend, or less for comparison. */
export interface Pair {
  readonly name: string
  /** Where the client connects to. */
  readonly port: number
  /** The two proxies, whose processor time and memory count; none when the client asks the backend directly. */
  readonly proxies: readonly Program[]
  /** What it is measured with. */
  readonly workloads: readonly WorkloadName[]
  /** How often the garbage collector has stopped what carries traffic so far; absent where there is no collector. */
  readonly collections?: () => Promise<Collections>
}

/** Stops by the garbage collector, of both proxies together. */
export interface Collections {
  readonly count: number
  readonly milliseconds: number
  /** Of more than 10 ms. */
  readonly long: number
}

/** What a kind of pair is started with. */
export interface PairOptions {
  /** For configuration and credentials. */
  readonly directory: string
  readonly backendPort: number
  /** Takes what must be stopped. */
  readonly programs: AsyncDisposableStack
}

/** Names of the workloads at both ends, the same for every pair. */
export const TRUST_DOMAIN = 'bench.example'
export const WEB: string = `spiffe://${TRUST_DOMAIN}/ns/bench/sa/web`
export const CATALOG: string = `spiffe://${TRUST_DOMAIN}/ns/bench/sa/catalog`

/** For peers that cannot check a SPIFFE ID: the DNS name in the same certificate. */
export const CATALOG_NAME = 'catalog.bench.example'

/** What every pair agrees on, so that all compute the same. */
export const SUITE = 'TLS_AES_128_GCM_SHA256'

/**
 * Both kinds of pair that a proxy is measured as: one whose client resumes sessions, as it would be deployed, and one where
 * every connection is a full handshake, for that workload alone.
 */
export const KINDS = [
  { suffix: '', resumes: true },
  { suffix: ', full handshakes', resumes: false },
] as const

/** What a pair that hands connections through, one for one, is measured with. */
export function workloadsOf(resumes: boolean): readonly WorkloadName[] {
  return resumes
    ? ['resumed', 'requests', 'many-requests', 'bulk', 'many-bulk', 'latency', 'idle']
    : ['handshakes']
}
