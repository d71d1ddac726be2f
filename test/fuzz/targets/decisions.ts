import { compilePolicies } from '../../../src/authz/compile.ts'
import { normalizeHost } from '../../../src/authz/host.ts'
import { parsePolicies } from '../../../src/authz/parse.ts'
import { normalizePath } from '../../../src/authz/path.ts'
import { utf8 } from '../../../src/bytes/bytes.ts'
import { Violation, type FuzzTarget } from '../target.ts'

const POLICIES = `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: everything, namespace: shop }
spec: { action: ALLOW, rules: [{}] }
---
apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: not-that, namespace: shop }
spec:
  action: DENY
  rules:
    - to: [{ paths: ["/admin*"] }, { hosts: ["*.internal"] }, { headers: [{ name: x-tier, values: [none] }] }]
    - to: [{ grpcServices: ["shop.Admin*"] }]
    - from: [{ ipBlocks: [10.0.0.0/8, "fd00::/8"] }, { requestPrincipals: ["*/root"] }]
    - when: [{ key: "request.auth.claims[groups]", values: [banned] }]
    - when: [{ expression: 'request.headers["x-tier"].startsWith("!") || has(request.auth.claims.evil)' }]
`

const POLICY = compilePolicies(parsePolicies([{ name: 'policies.yaml', text: POLICIES }]), {
  crypto: { digest: () => new Uint8Array(32) },
  trustDomain: 'example.org',
  newId: () => 'id',
}).forWorkload({ namespace: 'shop', serviceAccount: 'catalog' })

/** A request in lines: method and target, host, address, a header, claims in JSON. */
const SEEDS = [
  'GET /products\nshop.example\n192.0.2.1\nx-tier: gold\n{}',
  'POST /shop.Orders/Get\nshop.example:8080\n10.1.2.3\ncontent-type: application/grpc\n{"groups":["a","banned"]}',
  'GET http://a.internal/admin\na.internal\nfd00::1\nx_tier: none\n{"groups":"banned"}',
  'DELETE /adm%69n\n[::1]:80\n::ffff:10.0.0.1\nconnection: x-tier\nnull',
]

/** Requests of strangers: what is denied by a rule is not permitted in any spelling. */
export const DECISIONS: FuzzTarget = {
  name: 'decisions',
  seeds: SEEDS.map(utf8),
  run(input) {
    const [line = '', host = '', sourceIp = '', header = '', claims = ''] = Buffer.from(input)
      .toString('latin1')
      .split('\n')
    const [method = '', target = ''] = line.split(' ')
    const [name = '', value = ''] = header.split(': ')
    const parsed = claimsOf(claims)
    const decision = POLICY.decide({
      principal: 'spiffe://example.org/ns/shop/sa/web',
      port: 443,
      sourceIp,
      http: { method, path: target, host, headers: { [name]: [value] } },
      ...(parsed && { token: { principal: `issuer/${method}`, claims: parsed } }),
    })
    const normalized = normalizeHost(host)
    if (normalized.kind === 'host') {
      const again = normalizeHost(normalized.host)
      if (again.kind === 'refused' || again.host !== normalized.host)
        throw new Violation(`The normal form ${JSON.stringify(normalized.host)} has another normal form`)
    }
    if (decision.kind === 'denial') return `${decision.cause} ${decision.rule ?? ''}`
    const path = normalizePath(target)
    if (path.kind === 'refused' || path.path.startsWith('/admin') || normalized.kind === 'refused')
      throw new Violation(`${JSON.stringify(target)} at ${JSON.stringify(host)} was permitted`)
    if (decision.rules().some(({ action, matches }) => action === 'DENY' && matches))
      throw new Violation(`${JSON.stringify(line)} was permitted, and its explanation says that it was not`)
    return 'permit'
  },
}

function claimsOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
