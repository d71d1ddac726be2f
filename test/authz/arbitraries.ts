/** Policies and requests for properties. */
import * as fc from 'fast-check'
import type { AuthorizationRequest, HttpRequestHead, RequestToken } from '../../src/authz/request.ts'
import type {
  AuthorizationPolicy,
  HeaderCondition,
  PolicyAction,
  PolicyCondition,
  PolicyOperation,
  PolicyRule,
  PolicySource,
} from '../../src/config/policy-config.ts'
import type { NaiveContext } from './naive-evaluator.ts'

/** Few names, so that they meet. */
export const principals: readonly string[] = [
  'spiffe://td/ns/a/sa/x',
  'spiffe://td/ns/a/sa/xy',
  'spiffe://td/ns/ab/sa/x',
  'spiffe://td/ns/a/sa/x/more',
  'spiffe://td/ns/a',
  'spiffe://td.d/ns/a/sa/x',
  'spiffe://tdxd/ns/a/sa/x',
  'spiffe://td/vm/1',
]
/** Of such principals. */
export const principalPatterns: readonly string[] = [
  ...principals,
  '*',
  'spiffe://td/*',
  'spiffe://td/ns/*',
  'spiffe://td/ns/a/*',
  'spiffe://td/ns/*/sa/x',
  'spiffe://td/ns/*/sa/x*',
  'spiffe://td/ns/a*/sa/*',
  'spiffe://td.d/ns/a/sa/*',
  'spiffe://td/*/*',
  'spiffe://td/ns/a/sa/x*',
]
const namespaces = ['a', 'ab', 'handfast-system']
const paths = ['/', '/a', '/a/', '/a/b', '/ab', '/a/c/b', '/x.S/Get', '/x.Sub/List', '*', '/%20']
const pathPatterns = [
  '/',
  '/a',
  '/a*',
  '/a/*',
  '/*',
  '*',
  '/%20*',
  '/{x}',
  '/a/{x}',
  '/a/*/b',
  '/{x}/{y}',
  '/a/{x}/*',
  '/x.S/*',
]
const blocks = ['10.0.0.0/8', '10.1.2.3', '10.1.0.0/16', '0.0.0.0/0', '::/0', 'fd00::/8', 'fd00::1']
const values = ['gold', 'silver', 'g*', '*r', '*', 'iss/web', 'iss/*', '*/web']
const hosts = ['a.example', 'b.a.example', '[::1]']
const hostPatterns = ['a.example', '*.a.example', '*.example', '*', '[::1]']
const services = ['x.S', 'x.S*', 'x.*', 'S', '*']
const calls = ['Get', 'G*', 'List', '*']

/** Expressions, and what they come to, worked out by hand. */
export const expressions: NaiveContext['expressions'] = {
  'destination.port > 1': ({ port }) => port > 1,
  'source.namespace == "a" || source.principal.endsWith("/1")': ({ principal }) => {
    const namespace = /^spiffe:\/\/td\/ns\/([^/]+)\/sa\/[^/]+$/.exec(principal)?.[1]
    if (namespace === 'a' || principal.endsWith('/1')) return true
    return namespace === undefined ? undefined : false
  },
  'source.ip.startsWith("10.1.")': ({ sourceIp }) => sourceIp?.startsWith('10.1.'),
  'connection.group == "x25519"': ({ tls }) =>
    tls?.group === undefined ? undefined : tls.group === 'x25519',
  'request.method == "GET" && request.path.startsWith("/a")': ({ http }) =>
    http!.method === 'GET' && http!.path.startsWith('/a'),
  'request.headers["x-tier"] == "gold"': ({ http }) => {
    const lines = http!.headers?.['x-tier']
    return lines === undefined ? undefined : lines.join(', ') === 'gold'
  },
  'has(request.auth.claims.groups) && request.auth.claims.groups.exists(g, g == "gold")': ({ token }) => {
    // A field of what is not there cannot even be asked for.
    if (token === undefined) return undefined
    const { groups } = token.claims
    if (groups === undefined) return false
    // Of a mapping, CEL goes through the keys.
    if (typeof groups !== 'object' || groups === null) return undefined
    return (Array.isArray(groups) ? groups : Object.keys(groups)).includes('gold')
  },
  '!("x-tier" in request.headers)': ({ http }) => http!.headers?.['x-tier'] === undefined,
}

const some = <T>(...values: readonly T[]): fc.Arbitrary<T[]> =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 })

/** One to three of the fields: with more, hardly anything would match. */
const optionally = <T extends object>(fields: {
  readonly [Key in keyof T]: fc.Arbitrary<T[Key]>
}): fc.Arbitrary<Partial<T>> =>
  fc
    .subarray(Object.keys(fields) as (keyof T)[], {
      minLength: 1,
      maxLength: Math.min(3, Object.keys(fields).length),
    })
    .chain((keys) => fc.record(Object.fromEntries(keys.map((key) => [key, fields[key]])))) as fc.Arbitrary<
    Partial<T>
  >

const source: fc.Arbitrary<PolicySource> = optionally({
  principals: some(...principalPatterns),
  notPrincipals: some(...principalPatterns),
  namespaces: some('a', 'ab', 'a*', '*'),
  notNamespaces: some('a', 'ab', 'a*', '*'),
  serviceAccounts: some('x', 'xy', 'a/x', 'ab/x'),
  notServiceAccounts: some('x', 'xy', 'a/x', 'ab/x'),
  trustDomains: some('td', 'td.d'),
  notTrustDomains: some('td', 'td.d'),
  ipBlocks: some(...blocks),
  notIpBlocks: some(...blocks),
  requestPrincipals: some(...values),
  notRequestPrincipals: some(...values),
})

const valueLists = optionally({ values: some(...values), notValues: some(...values) })

const header: fc.Arbitrary<HeaderCondition> = fc
  .tuple(fc.constantFrom('x-tier', 'x-other'), valueLists)
  .map(([name, lists]) => Object.assign({ name }, lists))

const operation: fc.Arbitrary<PolicyOperation> = optionally({
  ports: some(1, 2, 3),
  notPorts: some(1, 2, 3),
  methods: some('GET', 'PUT'),
  notMethods: some('GET', 'PUT'),
  hosts: some(...hostPatterns),
  notHosts: some(...hostPatterns),
  paths: some(...pathPatterns),
  notPaths: some(...pathPatterns),
  headers: fc.array(header, { minLength: 1, maxLength: 2 }),
  grpcServices: some(...services),
  notGrpcServices: some(...services),
  grpcMethods: some(...calls),
  notGrpcMethods: some(...calls),
})

const conditionOn = (keys: readonly string[], wanted: readonly string[]): fc.Arbitrary<PolicyCondition> =>
  fc
    .tuple(fc.constantFrom(...keys), optionally({ values: some(...wanted), notValues: some(...wanted) }))
    .map(([key, lists]) => Object.assign({ key }, lists))

const condition: fc.Arbitrary<PolicyCondition> = fc.oneof(
  conditionOn(['connection.sni', 'connection.alpn'], ['gold', 'h2', '*', 'g*']),
  conditionOn(['connection.group'], ['x25519', 'secp256r1', '*', '*1']),
  conditionOn(
    ['request.auth.claims[groups]', 'request.auth.claims[scope]', 'request.auth.claims[deep][level]'],
    ['gold', 'silver', '3', '*', 'g*', '*r'],
  ),
  fc.constantFrom(...Object.keys(expressions)).map((expression) => ({ expression })),
)

/** A rule with few fields, so that requests meet it. */
export const rule: fc.Arbitrary<PolicyRule> = fc.record(
  {
    from: fc.array(source, { minLength: 1, maxLength: 2 }),
    to: fc.array(operation, { minLength: 1, maxLength: 2 }),
    when: fc.array(condition, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: [], noNullPrototype: true },
)

const spec = fc.record(
  {
    selector: fc.record({ serviceAccounts: some('x', 'y') }, { noNullPrototype: true }),
    action: fc.constantFrom<PolicyAction>('ALLOW', 'ALLOW', 'ALLOW', 'DENY', 'AUDIT'),
    dryRun: fc.constantFrom(false, false, false, true),
    rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: ['action', 'rules'], noNullPrototype: true },
)

/** Policies in few namespaces. */
export const policiesOf = (size: {
  readonly minLength: number
  readonly maxLength: number
}): fc.Arbitrary<AuthorizationPolicy[]> =>
  fc.array(fc.record({ namespace: fc.constantFrom(...namespaces), spec }), size).map((list) =>
    list.map(({ namespace, spec }, index) => ({
      apiVersion: 'handfast.dev/v1alpha1',
      kind: 'AuthorizationPolicy',
      metadata: { name: `p${index}`, namespace },
      spec,
    })),
  )

const lines = fc.array(fc.constantFrom('gold', 'silver', 'guilder'), { minLength: 1, maxLength: 2 })

const http: fc.Arbitrary<HttpRequestHead> = fc
  .record(
    {
      method: fc.constantFrom('GET', 'PUT', 'POST'),
      path: fc.constantFrom(...paths),
      host: fc.constantFrom(...hosts),
      headers: fc.record(
        {
          'x-tier': lines,
          'x-other': lines,
          'content-type': fc.constantFrom(['application/grpc'], ['application/grpc+proto'], ['text/plain']),
        },
        { requiredKeys: [], noNullPrototype: true },
      ),
    },
    { requiredKeys: ['method', 'path', 'host'], noNullPrototype: true },
  )
  // What calls gRPC is a POST, and would hardly ever meet its path.
  .map(({ method, ...head }) =>
    Object.assign({ method: head.path.startsWith('/x.') ? 'POST' : method }, head),
  )

const token: fc.Arbitrary<RequestToken> = fc.record({
  principal: fc.constantFrom('iss/web', 'iss/job', 'other/web'),
  claims: fc.record(
    {
      groups: fc.constantFrom<unknown>('gold', ['gold', 'silver'], [], 3, { gold: true }),
      scope: fc.constantFrom('gold silver', 'gold', ''),
      deep: fc.constantFrom<unknown>({ level: 3 }, { level: 'gold' }, {}),
    },
    { requiredKeys: [], noNullPrototype: true },
  ),
})

/** A request whose path and host are in their normal form. */
export const request: fc.Arbitrary<AuthorizationRequest> = fc
  .record(
    {
      principal: fc.constantFrom(...principals),
      workload: fc.record(
        { namespace: fc.constantFrom(...namespaces), serviceAccount: fc.constantFrom('x', 'y', 'z') },
        { noNullPrototype: true },
      ),
      port: fc.constantFrom(1, 2, 3, 4),
      sourceIp: fc.constantFrom(
        '10.1.2.3',
        '::ffff:10.1.2.3',
        '10.9.0.1',
        '192.0.2.1',
        'fd00::1',
        '2001:db8::1',
      ),
      tls: fc.record(
        {
          sni: fc.constantFrom('gold', 'silver'),
          alpn: fc.constantFrom('h2', 'gold'),
          group: fc.constantFrom('x25519', 'secp256r1'),
        },
        { requiredKeys: [], noNullPrototype: true },
      ),
      http,
      token,
    },
    { requiredKeys: ['principal', 'workload', 'port'], noNullPrototype: true },
  )
  // A JWT comes in a request.
  .map(({ token: good, ...rest }) => Object.assign(rest, rest.http && good ? { token: good } : {}))
