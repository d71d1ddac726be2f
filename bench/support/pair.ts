import type { Program } from './program.ts'

/** client → A = mutual TLS = B → backend, or less for comparison. */
export interface Pair {
  readonly name: string
  /** Where the client connects to. */
  readonly port: number
  /** The two proxies, whose processor time and memory count; none when the client asks the backend directly. */
  readonly proxies: readonly Program[]
  /** Whether each connection of the client is one between the proxies. */
  readonly isConnectionForConnection: boolean
}

/** Names of the workloads at both ends, the same for every pair. */
export const TRUST_DOMAIN = 'bench.example'
export const WEB: string = `spiffe://${TRUST_DOMAIN}/ns/bench/sa/web`
export const CATALOG: string = `spiffe://${TRUST_DOMAIN}/ns/bench/sa/catalog`
