/** Policies and requests of few names, so that they meet, and the flight log that proxies would write of them. */
import * as fc from 'fast-check'
import { decodeFlightLine } from '../../../src/authz/flight/decode.ts'
import { encodeFlightLine } from '../../../src/authz/flight/encode.ts'
import type { FlightDecision } from '../../../src/authz/flight/flight-line.ts'
import type { PolicySet } from '../../../src/authz/policy-set.ts'
import type { AuthorizationRequest } from '../../../src/authz/request.ts'
import type {
  AuthorizationPolicy,
  PolicyAction,
  PolicyOperation,
  PolicyRule,
  PolicySource,
} from '../../../src/config/policy-config.ts'
import { API_VERSION } from '../../../src/config/fields.ts'
import { FlightLog } from '../../../src/telemetry/flight-log.ts'
import { policySet } from '../support.ts'

const PRINCIPALS = [
  'spiffe://td/ns/shop/sa/web',
  'spiffe://td/ns/shop/sa/admin',
  'spiffe://td.d/ns/shop/sa/web',
]
const PATHS = [
  '/',
  '/a',
  '/a/b',
  '/orders/1',
  '/orders/2',
  '/orders/3',
  '/orders/4',
  '/a/../b',
  '/%61',
  '/a*b',
  '/a?b#c',
]

const some = <T>(...values: readonly T[]): fc.Arbitrary<T[]> =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 })

const optionally = <T extends object>(fields: {
  readonly [Key in keyof T]: fc.Arbitrary<T[Key]>
}): fc.Arbitrary<Partial<T>> =>
  fc
    .subarray(Object.keys(fields) as (keyof T)[], { minLength: 1 })
    .chain((keys) => fc.record(Object.fromEntries(keys.map((key) => [key, fields[key]])))) as fc.Arbitrary<
    Partial<T>
  >

/** What a suggestion can tell apart. */
const plainSource = optionally<PolicySource>({ principals: some(...PRINCIPALS, 'spiffe://td/ns/*/sa/web') })
const plainOperation = optionally<PolicyOperation>({
  ports: some(1, 2, 3),
  methods: some('GET', 'POST'),
  paths: some('/', '/a', '/a/*', '/orders/{id}', '/orders/1', '*'),
  notPaths: some('/orders/2', '/a'),
})

const source = optionally<PolicySource>({
  principals: some(...PRINCIPALS),
  notPrincipals: some(...PRINCIPALS),
  namespaces: some('shop', '*'),
  ipBlocks: some('10.0.0.0/8', '::1'),
  requestPrincipals: some('i/alice', 'i/*'),
})
const operation = optionally<PolicyOperation>({
  ports: some(1, 2, 3),
  methods: some('GET', 'POST'),
  paths: some('/', '/a', '/orders/{id}', '*'),
  hosts: some('shop.example', '*.example'),
  headers: fc.constantFrom(
    [{ name: 'x-tier', values: ['gold'] }],
    [{ name: 'x-tier', notValues: ['gold'] }],
    [{ name: 'authorization', values: ['*'] }],
  ),
})
const condition = fc.constantFrom(
  { key: 'request.auth.claims[group]', values: ['dev'] },
  { key: 'connection.sni', values: ['catalog'] },
  { expression: 'request.headers["x-tier"] == "gold" || source.ip == "10.0.0.1"' },
)

const rule = fc.record<PolicyRule>(
  {
    from: fc.array(source, { minLength: 1, maxLength: 2 }),
    to: fc.array(operation, { minLength: 1, maxLength: 2 }),
    when: fc.array(condition, { minLength: 1, maxLength: 1 }),
  },
  { requiredKeys: [] },
)
const plainRule = fc.record<PolicyRule>(
  {
    from: fc.array(plainSource, { minLength: 1, maxLength: 2 }),
    to: fc.array(plainOperation, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: [] },
)

/** Policies for the workload `shop/catalog`. */
export function policySets(options: { readonly plain?: boolean } = {}): fc.Arbitrary<PolicySet> {
  const actions: readonly PolicyAction[] = options.plain
    ? ['ALLOW', 'DENY']
    : ['ALLOW', 'ALLOW', 'DENY', 'AUDIT']
  return fc
    .array(
      fc.record({
        action: fc.constantFrom(...actions),
        rules: fc.array(options.plain ? plainRule : rule, { minLength: 1, maxLength: 3 }),
        dryRun: fc.constantFrom(false, false, ...(options.plain ? [] : [true])),
      }),
      { minLength: 1, maxLength: 3 },
    )
    .map((specs) =>
      policySet(
        ...specs.map((spec, index): AuthorizationPolicy => ({
          apiVersion: API_VERSION,
          kind: 'AuthorizationPolicy',
          metadata: { name: `p${index}`, namespace: 'shop' },
          spec,
        })),
      ),
    )
}

interface Drawn {
  readonly principal: string
  readonly port: number
  readonly sourceIp: string
  readonly sni: string | undefined
  readonly http: {
    readonly method: string
    readonly path: string
    readonly host: string
    readonly tier: string[] | null
    readonly twin: boolean
    readonly connection: boolean
    readonly authorization: boolean
    readonly token: string | null
    readonly group: string | null
  } | null
}

/** A request as a proxy asks about it. */
export const requests: fc.Arbitrary<AuthorizationRequest> = fc
  .record<Drawn>({
    principal: fc.constantFrom(...PRINCIPALS),
    port: fc.constantFrom(1, 3),
    sourceIp: fc.constantFrom('10.0.0.1', '192.0.2.1', '::1'),
    sni: fc.option(fc.constantFrom('catalog', 'other'), { nil: undefined }),
    http: fc.option(
      fc.record({
        method: fc.constantFrom('GET', 'POST', 'get'),
        path: fc.constantFrom(...PATHS),
        host: fc.constantFrom('shop.example', 'other.example:80', 'a b'),
        tier: fc.option(fc.constantFrom(['gold'], ['tin'], ['gold', 'tin'])),
        twin: fc.boolean(),
        connection: fc.boolean(),
        authorization: fc.boolean(),
        token: fc.option(fc.constantFrom('alice', 'bob')),
        group: fc.option(fc.constantFrom('dev', 'ops')),
      }),
    ),
  })
  .map(requestOf)

function requestOf({ principal, port, sourceIp, sni, http }: Drawn): AuthorizationRequest {
  const workload = { namespace: 'shop', serviceAccount: 'catalog' }
  const tls = { group: 'X25519', ...(sni !== undefined && { sni }) }
  // A listener reads requests, or carries bytes.
  if (http === null) return { principal, workload, port: 2, sourceIp, tls }
  const { method, path, host, tier, twin, connection, authorization, token, group } = http
  const headers = {
    ...(tier && { 'x-tier': tier }),
    ...(twin && { x_tier: ['gold'] }),
    ...(connection && { connection: ['keep-alive, X-Tier'] }),
    ...(authorization && { authorization: ['Bearer secret'] }),
    'x-other': ['of no interest'],
  }
  const claims = { ...(group && { group }), other: 1 }
  return {
    principal,
    workload,
    port,
    sourceIp,
    tls,
    http: { method, path, host, headers },
    ...(token && { token: { principal: `i/${token}`, claims } }),
  }
}

/** What the flight log says of requests that a policy has decided, after it was written and read. */
export function recorded(policies: PolicySet, asked: readonly AuthorizationRequest[]): FlightDecision[] {
  const log = new FlightLog()
  for (const request of asked) {
    const policy = policies.forWorkload(request.workload)
    log.add(policy.decide(request), {
      atMs: 0,
      connection: 1,
      listener: 'in',
      source: { host: request.sourceIp ?? '', port: 1 },
      reads: policy.reads,
    })
  }
  return log.list().map((decision) => decodeFlightLine(encodeFlightLine(decision)) as FlightDecision)
}
