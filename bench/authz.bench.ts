/**
 * Decisions over 1,000 policies of 10 rules each, all for the workload that is asked for: what one takes, and what the policy takes of
 * memory. Times are processor time for each decision, the median of rounds. Run it with `node bench/authz.bench.ts`.
 */
import { compilePolicies } from '../src/authz/compile.ts'
import type { WorkloadPolicy, WorkloadRequest } from '../src/authz/decide.ts'
import { parsePolicies } from '../src/authz/parse.ts'
import { nativeCrypto } from '../src/crypto/native-provider.ts'
import { collectGarbage } from '../test/support/garbage.ts'
import { median } from './support/interleaved.ts'

const POLICIES = 1_000
const RULES = 10

/** Requests that are asked in turn: more than caches of the processor hold the rules of. */
const REQUESTS = 2_000
const ROUNDS = 101

/** Each leaves its peers behind. */
const FRESH_ROUNDS = 25

const WORKLOAD = { namespace: 'shop', serviceAccount: 'catalog' }

interface Scenario {
  readonly name: string
  /** Rule `n` of all, in YAML flow style. */
  rule(n: number): string
  request(n: number): WorkloadRequest
}

const id = (n: number): string => `spiffe://example.org/ns/ns-${n % 100}/sa/app-${n}`

/** Any of the rules, spread over all of them. */
const spread = (n: number): number => (n * 7_919) % (POLICIES * RULES)

const http = (path: string, method = 'GET'): Pick<WorkloadRequest, 'http'> => ({
  http: { method, path, host: 'catalog.shop' },
})

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'literal principals',
    rule: (n) => `{ from: [{ principals: ["${id(n)}"] }], to: [{ methods: [GET], paths: ["/items/${n}"] }] }`,
    request: (n) => ({ principal: id(spread(n)), port: 443, ...http(`/items/${spread(n)}`) }),
  },
  {
    name: 'literal principals, denied by default',
    rule: (n) => `{ from: [{ principals: ["${id(n)}"] }], to: [{ methods: [GET], paths: ["/items/${n}"] }] }`,
    request: (n) => ({ principal: id(spread(n)), port: 443, ...http('/other') }),
  },
  {
    name: 'literal principals, TCP',
    rule: (n) => `{ from: [{ principals: ["${id(n)}"] }], to: [{ ports: [443] }] }`,
    request: (n) => ({ principal: id(spread(n)), port: 443 }),
  },
  {
    name: 'patterns of principals and paths',
    rule: (n) =>
      `{ from: [{ principals: ["spiffe://example.org/ns/ns-${n % 100}/sa/app-${n}*", "spiffe://example.org/ns/*/sa/ops-${n}"] }], to: [{ paths: ["/items/${n}/*", "/shops/{id}/items/${n}"] }] }`,
    request: (n) => ({
      principal: id(spread(n)),
      port: 443,
      ...http(n % 2 === 0 ? `/items/${spread(n)}/lines` : `/shops/7/items/${spread(n)}`),
    }),
  },
  {
    name: 'patterns of paths, for every principal',
    rule: (n) => `{ to: [{ methods: [GET], paths: ["/items/${n}/*", "/shops/{id}/items/${n}"] }] }`,
    request: (n) => ({
      principal: id(n % 50),
      port: 443,
      ...http(n % 2 === 0 ? `/items/${spread(n)}/lines` : `/shops/7/items/${spread(n)}`),
    }),
  },
  {
    name: 'namespaces, and a condition in CEL',
    rule: (n) =>
      `{ from: [{ namespaces: [ns-${n % 1_000}] }], to: [{ paths: ["/items/${n}*"] }], when: [{ expression: 'source.namespace.startsWith("ns-") && destination.port == 443' }] }`,
    request: (n) => ({ principal: id(spread(n) % 100), port: 443, ...http(`/items/${spread(n) % 100}`) }),
  },
]

print(`${POLICIES} policies of ${RULES} rules, ${REQUESTS} requests in turn; medians of ${ROUNDS} rounds\n`)
print(
  '                                          µs, peer known   µs, peer new   permits   compiled in ms   heap MB',
)
for (const scenario of SCENARIOS) measure(scenario)

function measure(scenario: Scenario): void {
  const parsed = parsePolicies([...policyFiles(scenario)])
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  const begin = process.cpuUsage()
  const set = compilePolicies(parsed, {
    crypto: nativeCrypto(),
    trustDomain: 'example.org',
    newId: () => 'id',
  })
  const policy = set.forWorkload(WORKLOAD)
  const requests = Array.from({ length: REQUESTS }, (_, n) => scenario.request(n))
  policy.decide(requests[0]!)
  const compiledMs = cpuMicroseconds(begin) / 1000
  // Peers that nobody has met: the name of each is another in every round.
  const fresh: number[] = []
  for (let round = 0; round < FRESH_ROUNDS; round++)
    fresh.push(
      decideAll(
        policy,
        requests.map((request) => renamed(request, round)),
      ),
    )
  const known: number[] = []
  decideAll(policy, requests)
  for (let round = 0; round < ROUNDS; round++) known.push(decideAll(policy, requests))
  const permits = requests.filter((request) => policy.decide(request).kind === 'permit').length
  collectGarbage()
  const heap = (process.memoryUsage().heapUsed - before) / 1e6
  print(
    `${scenario.name.padEnd(42)}${figure(known, 14)}${figure(fresh, 15)}` +
      `${`${Math.round((100 * permits) / REQUESTS)} %`.padStart(10)}${compiledMs.toFixed(0).padStart(17)}${heap.toFixed(1).padStart(10)}`,
  )
}

/** Of the same namespace, and with as long a name. */
function renamed(request: WorkloadRequest, round: number): WorkloadRequest {
  return { ...request, principal: `${request.principal}-${round}` }
}

/** Processor time for each, in microseconds. */
function decideAll(policy: WorkloadPolicy, requests: readonly WorkloadRequest[]): number {
  const begin = process.cpuUsage()
  for (const request of requests) policy.decide(request)
  return cpuMicroseconds(begin) / requests.length
}

function cpuMicroseconds(begin: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(begin)
  return user + system
}

function* policyFiles(scenario: Scenario): Generator<{ readonly name: string; readonly text: string }> {
  for (let index = 0; index < POLICIES; index++) {
    const rules = Array.from({ length: RULES }, (_, n) => `    - ${scenario.rule(index * RULES + n)}`)
    yield {
      name: `p${index}.yaml`,
      text: `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: p${index}, namespace: shop }
spec:
  action: ALLOW
  rules:
${rules.join('\n')}
`,
    }
  }
}

function figure(rounds: readonly number[], width: number): string {
  return median(rounds).toFixed(2).padStart(width)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
