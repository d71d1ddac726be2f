import { API_VERSION } from '../../config/fields.ts'
import type { AuthorizationPolicy, PolicyOperation, PolicyRule } from '../../config/policy-config.ts'
import { normalizePath } from '../path.ts'
import type { Workload } from '../request.ts'
import type { FlightDecision } from './flight-line.ts'
import { learnPaths } from './learn-paths.ts'

/** What was learned for one workload. */
export interface Suggestion {
  readonly workload: Workload
  readonly policy: AuthorizationPolicy
  /** What a person should know who puts it to use. */
  readonly notes: readonly string[]
}

export interface SuggestOptions {
  /** Whether identifiers in paths may become templates. @default true */
  readonly templates?: boolean
}

/** What of a call a suggestion tells apart. */
interface Call {
  readonly peer: string
  readonly port: number
  readonly http: { readonly method: string; readonly path: string } | undefined
  readonly isPermitted: boolean
}

/**
 * The least that permits the recorded calls: one ALLOW policy for each workload that was called, by principal, port, method and
 * path. Identifiers become templates only where several were seen in one place, and where no call that was denied would pass.
 * Workloads that policy cannot name are left out.
 */
export function suggestPolicies(
  decisions: Iterable<FlightDecision>,
  { templates = true }: SuggestOptions = {},
): Suggestion[] {
  const byWorkload = new Map<string, { readonly workload: Workload; readonly calls: Map<string, Call> }>()
  for (const { request, verdict, again } of decisions) {
    const { workload, peer, port, http } = request
    if (again || !isNameable(workload)) continue
    const name = `${workload.namespace}/${workload.serviceAccount}`
    const known = byWorkload.get(name) ?? { workload, calls: new Map<string, Call>() }
    byWorkload.set(name, known)
    const call = {
      peer,
      port,
      http: http && { method: http.method, path: http.path },
      isPermitted: verdict === 'permit',
    }
    known.calls.set(JSON.stringify(call), call)
  }
  return [...byWorkload]
    .sort(([a], [b]) => compareText(a, b))
    .flatMap(([, { workload, calls }]) => suggestionFor(workload, [...calls.values()], templates))
}

const LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/

function isNameable({ namespace, serviceAccount }: Workload): boolean {
  return LABEL.test(namespace) && LABEL.test(serviceAccount)
}

function suggestionFor(workload: Workload, calls: readonly Call[], templates: boolean): Suggestion[] {
  const { true: permitted = [], false: denied = [] } = Object.groupBy(calls, ({ isPermitted }) =>
    isPermitted ? 'true' : 'false',
  )
  if (permitted.length === 0) return []
  const notes: string[] = []
  const reads = {
    methods: permitted.every(({ http }) => http === undefined || METHOD.test(http.method)),
    paths: permitted.every(({ http }) => http === undefined || normalPath(http.path) !== undefined),
  }
  // To read a part of requests is to refuse all in which it is not clear.
  if (!reads.methods) notes.push('Methods are left out: a call passed whose method cannot be judged')
  if (!reads.paths) notes.push('Paths are left out: a call passed whose path can be read in several ways')
  if (permitted.some(({ http }) => http?.path.includes('*')))
    notes.push('A path with * in it is written as a prefix: policy has no way to say it exactly')
  const alike = new Set(permitted.map(sayable))
  const contradicted = denied.filter((call) => alike.has(sayable(call))).length
  if (contradicted > 0)
    notes.push(
      `${contradicted} of the calls that were denied would be permitted: others like them passed, by what a suggestion does not read`,
    )
  const byPeer = Map.groupBy(permitted, ({ peer }) => peer)
  const byOperations = Map.groupBy(byPeer.keys(), (peer) =>
    JSON.stringify(
      operationsOf(byPeer.get(peer)!, {
        denied: denied.filter((call) => call.peer === peer),
        reads,
        templates,
      }),
    ),
  )
  const rules = [...byOperations].map(([operations, peers]): PolicyRule => ({
    from: [{ principals: peers.sort(compareText) }],
    to: JSON.parse(operations) as PolicyOperation[],
  }))
  return [{ workload, policy: policyFor(workload, rules), notes }]
}

/** All of a call that a suggestion can say. */
function sayable({ peer, port, http }: Call): string {
  return JSON.stringify([peer, port, http?.method, http && (normalPath(http.path) ?? http.path)])
}

/** What the policy schema takes for a method. */
const METHOD = /^[A-Z][A-Z0-9_-]{0,31}$/

interface OperationOptions {
  readonly denied: readonly Call[]
  readonly reads: { readonly methods: boolean; readonly paths: boolean }
  readonly templates: boolean
}

/** The calls of one peer, as few entries as say the same. */
function operationsOf(
  calls: readonly Call[],
  { denied, reads, templates }: OperationOptions,
): PolicyOperation[] {
  const ports = [...Map.groupBy(calls, ({ port }) => port)].sort(([a], [b]) => a - b)
  const entries = ports.flatMap(([port, atPort]) =>
    httpEntries(atPort, { denied: denied.filter((call) => call.port === port), reads, templates }).map(
      (entry) => ({
        port,
        entry,
      }),
    ),
  )
  const same = Map.groupBy(entries, ({ entry }) => JSON.stringify(entry))
  return Array.from(same.values(), (alike): PolicyOperation => ({
    ports: alike.map(({ port }) => port),
    ...alike[0]!.entry,
  }))
}

/** Patterns of paths with the methods that each is called with; those with the same methods are one entry. */
function httpEntries(
  calls: readonly Call[],
  { denied, reads, templates }: OperationOptions,
): Pick<PolicyOperation, 'methods' | 'paths'>[] {
  const requests = calls.flatMap(({ http }) => http ?? [])
  // Bytes are carried or not; there is nothing to tell them apart by.
  if (requests.length < calls.length || (!reads.methods && !reads.paths)) return [{}]
  const methods = new Map<string, Set<string>>()
  for (const [method, alike] of Map.groupBy(requests, (request) => (reads.methods ? request.method : ''))) {
    const refused = denied.filter(
      ({ http }) => http !== undefined && (!reads.methods || http.method === method),
    )
    const patterns = reads.paths
      ? learnPaths(normalPaths(alike), {
          denied: normalPaths(refused.flatMap(({ http }) => http ?? [])),
          templates,
        })
      : ['']
    for (const pattern of patterns) methods.set(pattern, (methods.get(pattern) ?? new Set()).add(method))
  }
  const byMethods = Map.groupBy(methods.keys(), (pattern) =>
    JSON.stringify([...methods.get(pattern)!].sort()),
  )
  const sorted = [...byMethods].sort(([a], [b]) => compareText(a, b))
  return Array.from(sorted, ([text, paths]) => ({
    ...(reads.methods && { methods: JSON.parse(text) as string[] }),
    ...(reads.paths && { paths: paths.sort(compareText) }),
  }))
}

function normalPaths(requests: readonly { readonly path: string }[]): string[] {
  return requests.flatMap(({ path }) => normalPath(path) ?? [])
}

function normalPath(path: string): string | undefined {
  const normalized = normalizePath(path)
  return normalized.kind === 'path' ? normalized.path : undefined
}

/** RFC 1123 labels have so many characters. */
const MAX_LABEL = 63

function policyFor(
  { namespace, serviceAccount }: Workload,
  rules: readonly PolicyRule[],
): AuthorizationPolicy {
  return {
    apiVersion: API_VERSION,
    kind: 'AuthorizationPolicy',
    metadata: { name: `suggested-${serviceAccount}`.slice(0, MAX_LABEL).replace(/-+$/, ''), namespace },
    spec: { selector: { serviceAccounts: [serviceAccount] }, action: 'ALLOW', rules },
  }
}

/** By code units: the same on every machine and in every locale. */
function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
