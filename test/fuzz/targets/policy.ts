import { create, toBinary } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { utf8 } from '../../../src/bytes/bytes.ts'
import { PolicyError } from '../../../src/authz/errors.ts'
import { parsePolicies } from '../../../src/authz/parse.ts'
import { normalizePath } from '../../../src/authz/path.ts'
import { allResources } from '../../../src/authz/resources.ts'
import { deserializePolicies, serializePolicies } from '../../../src/authz/serialize.ts'
import { controllerConfigSchema } from '../../../src/config/controller-config.ts'
import { ConfigError } from '../../../src/config/errors.ts'
import { parseYaml, parseYamlDocuments } from '../../../src/config/parse.ts'
import { proxyConfigSchema } from '../../../src/config/proxy-config.ts'
import { ControlError } from '../../../src/control/errors.ts'
import {
  CertificateService,
  IssueSvidResponseSchema,
  SnapshotSchema,
  ReportCertificatesRequestSchema,
  SnapshotService,
  WitnessService,
} from '../../../src/control/gen/handfast_pb.ts'
import { SpiffeWorkloadAPI, X509SVIDResponseSchema } from '../../../src/control/gen/workload-api_pb.ts'
import type { VersionedState } from '../../../src/control/mesh-state.ts'
import { methodDefinition } from '../../../src/control/grpc-service.ts'
import {
  decodeIssuedSvid,
  decodeSnapshot,
  decodeVersion,
  encodeBundles,
  encodeSnapshot,
} from '../../../src/control/message-codec.ts'
import { decodeReport } from '../../../src/control/witness-service.ts'
import { decodeState } from '../../../src/control/workload-api/client.ts'
import { encodeIdentity } from '../../../src/control/workload-api/x509.ts'
import { parseX509Svid } from '../../../src/identity/svid.ts'
import { Revocations } from '../../../src/identity/revocations.ts'
import { TrustBundles } from '../../../src/identity/trust-bundle.ts'
import { NOW_MS, type Workloads } from '../../support/tls-workloads.ts'
import { DECISIONS } from './decisions.ts'
import { magnitude, outcomeOf, shapeOf, Violation, type FuzzTarget } from '../target.ts'

/** What operators write, what controllers send, and what is judged by it. */
export function policyTargets(workloads: Workloads): readonly FuzzTarget[] {
  return [
    DECISIONS,
    PATH,
    POLICY_YAML,
    PROXY_YAML,
    CONTROLLER_YAML,
    POLICY_JSON,
    snapshotTarget(workloads),
    issuedSvidTarget(workloads),
    certificateReportTarget(workloads),
    fetchedSvidTarget(workloads),
  ]
}

const PATH: FuzzTarget = {
  name: 'path',
  seeds: [
    '/',
    '/orders/1?x=y',
    '*',
    'http://a.example/b',
    '/a%20b/%C3%A4',
    '/a/../b',
    '/%2e%2e/x',
    '/a;b',
    '/a\\b',
    '//',
  ].map(utf8),
  run(input) {
    const target = Buffer.from(input).toString('latin1')
    const result = normalizePath(target)
    if (result.kind === 'refused') return `refused ${result.reason}`
    const again = normalizePath(result.path)
    // A normal form is up to three times as long as what it was made from, and may be too long to be judged itself.
    if (again.kind === 'refused' && again.reason === 'too-long' && target.length > 5000) return 'path: long'
    if (again.kind === 'refused' || again.path !== result.path)
      throw new Violation(`The normal form ${JSON.stringify(result.path)} has another normal form`)
    if (result.path !== '*' && /(^|\/)\.{1,2}(\/|$)|[\\;?#\s]|\/\/|[^\x21-\x7e]/.test(result.path))
      throw new Violation(`${JSON.stringify(result.path)} passes for a path`)
    return `path: ${result.path === target} ${magnitude(result.path.length)}`
  },
}

const POLICY = `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata:
  name: readers
  namespace: shop
spec:
  selector:
    serviceAccounts: [catalog]
  action: ALLOW
  rules:
    - from:
        - principals: [spiffe://example.org/ns/shop/sa/web]
        - namespaces: [monitoring, "prod*"]
          ipBlocks: [10.0.0.0/8, "fd00::/8"]
      to:
        - methods: [GET, HEAD]
          paths: [/products, /products/*]
          notPorts: [8080]
          hosts: ["*.shop.example"]
          headers: [{ name: x-tier, values: [gold] }]
      when:
        - key: request.auth.claims[groups]
          notValues: [banned]
        - expression: connection.group == "x25519" && request.auth.claims.level > 3
`

const DENIAL = `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: none, namespace: handfast-system }
spec: { action: DENY, rules: [{ to: [{ paths: &p [/debug, "/debug/*"] }, { notPaths: *p }] }] }
`

const MODES = `apiVersion: handfast.dev/v1alpha1
kind: PeerAuthentication
metadata: { name: catalog, namespace: shop }
spec: { selector: { serviceAccounts: [catalog] }, portLevelMtls: { "80": { mode: STRICT } } }
---
apiVersion: handfast.dev/v1alpha1
kind: AuthorizationDefault
metadata: { name: mesh, namespace: handfast-system }
spec: { action: ALLOW }
---
apiVersion: handfast.dev/v1alpha1
kind: RequestAuthentication
metadata: { name: tokens, namespace: shop }
spec:
  jwtRules:
    - { issuer: "https://a.example", jwksUrl: "https://a.example/keys", audiences: [shop], fromCookies: [session] }
    - { issuer: b, jwks: '{"keys":[]}', fromHeaders: [{ name: x-token, prefix: "JWT " }], forwardOriginalToken: true }
`

/** An operator's own file, read once: 64 KiB of ill-formed YAML may take a while, and no more than that. */
const MAX_YAML_MS = 1500

const POLICY_YAML: FuzzTarget = {
  name: 'policy-yaml',
  maxInputMs: MAX_YAML_MS,
  seeds: [POLICY, DENIAL, MODES, `${POLICY}---\n${DENIAL}`].map(utf8),
  run: (input) =>
    outcomeOf(() => {
      const policies = parsePolicies([{ name: 'policy.yaml', text: Buffer.from(input).toString('utf8') }])
      // What is parsed can be sent to proxies, and means the same there.
      const text = serializePolicies(policies)
      if (serializePolicies(deserializePolicies(text)) !== text)
        throw new Violation('The policies are others after they were sent')
      return `parsed: ${allResources(policies).length}`
    }, ConfigError),
}

const PROXY = `apiVersion: handfast.dev/v1alpha1
kind: ProxyConfig
spec:
  trustDomain: example.org
  controller:
    address: controller.example.org:15012
    trustBundleFile: /etc/handfast/root.pem
    joinTokenFile: /etc/handfast/join-token
  handshakeTimeout: 10s
  outbound:
    - name: catalog
      listen: 127.0.0.1:8081
      connect: "[::1]:15006"
      peer: spiffe://example.org/ns/shop/sa/catalog
      protocol: http
  inbound:
    - name: web
      listen: 0.0.0.0:15006
      forward: 127.0.0.1:8080
      protocol: tcp
`

const CONTROLLER = `apiVersion: handfast.dev/v1alpha1
kind: ControllerConfig
spec:
  trustDomain: example.org
  listen: 0.0.0.0:15012
  stateDir: /var/lib/handfast
  policyPath: /etc/handfast/policy
  svidTtl: 1h
  log: { level: debug }
`

const PROXY_YAML = yamlTarget('proxy-yaml', PROXY, (text) =>
  parseYaml(text, { file: 'proxy.yaml', schema: proxyConfigSchema }),
)

const CONTROLLER_YAML = yamlTarget('controller-yaml', CONTROLLER, (text) => {
  const options = { file: 'controller.yaml', schema: controllerConfigSchema }
  const documents = parseYamlDocuments(text, options)
  if (documents.length === 1) parseYaml(text, options)
})

function yamlTarget(name: string, seed: string, parse: (text: string) => unknown): FuzzTarget {
  return {
    name,
    maxInputMs: MAX_YAML_MS,
    seeds: [utf8(seed)],
    run: (input) =>
      outcomeOf(() => {
        parse(Buffer.from(input).toString('utf8'))
        return 'parsed'
      }, ConfigError),
  }
}

/** Policies as controllers send them: whoever reads them must be able to send the very same on. */
const POLICY_JSON: FuzzTarget = {
  name: 'policy-json',
  seeds: [[POLICY], [DENIAL], [MODES], [POLICY, DENIAL]].map((texts) =>
    utf8(serializePolicies(parsePolicies(texts.map((text, index) => ({ name: `${index}.yaml`, text }))))),
  ),
  run(input) {
    const text = Buffer.from(input).toString('utf8')
    return outcomeOf(
      () => {
        const policies = deserializePolicies(text)
        if (serializePolicies(policies) !== text) throw new Violation('It was read as other policies')
        return `read: ${allResources(policies).length}`
      },
      PolicyError,
      ConfigError,
    )
  },
}

function snapshotTarget({ domain }: Workloads): FuzzTarget {
  const { responseDeserialize } = methodDefinition(SnapshotService.method.streamSnapshots)
  const policies = utf8(serializePolicies(parsePolicies([{ name: 'a.yaml', text: POLICY }])))
  const revocations = new Revocations({
    revision: 1_780_000_000_000,
    trustDomain: 'shop.example',
    serialNumbers: ['1', '7f'.repeat(16)],
    spiffeIds: ['spiffe://shop.example/ns/shop/sa/web'],
    issuerKeys: ['ab'.repeat(32)],
  })
  const snapshot = (bundles: TrustBundles, more: Partial<VersionedState> = {}): Uint8Array =>
    toBinary(
      SnapshotSchema,
      encodeSnapshot({
        version: { epoch: 'e', number: 7 },
        bundles,
        policies,
        policyRevision: 'r1',
        ...more,
      }),
    )
  return {
    name: 'snapshot',
    seeds: [
      snapshot(domain.bundles),
      snapshot(domain.bundles, { revocations }),
      snapshot(new TrustBundles([])),
    ],
    run(input) {
      return outcomeOfMessage(responseDeserialize, input, (message) => {
        const { bundles } = decodeSnapshot(message, decodeVersion(message))
        return `decoded: ${bundles.trustDomains.length}`
      })
    },
  }
}

/** Certificates as a proxy reports them. */
function certificateReportTarget({ client }: Workloads): FuzzTarget {
  const { requestDeserialize } = methodDefinition(WitnessService.method.reportCertificates)
  const [certificate, ...issuers] = client.chain.map(({ der }) => der)
  const report = create(ReportCertificatesRequestSchema, { certificates: [certificate!], issuers })
  return {
    name: 'certificate-report',
    seeds: [toBinary(ReportCertificatesRequestSchema, report)],
    run(input) {
      return outcomeOfMessage(requestDeserialize, input, (message) => {
        const { leaves, issuers: above } = decodeReport(message)
        return `decoded: ${leaves.length} below ${above.length}`
      })
    },
  }
}

/** A certificate as the controller sends it. */
function issuedSvidTarget({ client, domain }: Workloads): FuzzTarget {
  const { responseDeserialize } = methodDefinition(CertificateService.method.issueSvid)
  const issued = create(IssueSvidResponseSchema, {
    certificateChain: client.chain.map(({ der }) => der),
    trustBundles: encodeBundles(domain.bundles),
    serverTime: timestampFromMs(NOW_MS),
  })
  return {
    name: 'issued-svid',
    seeds: [toBinary(IssueSvidResponseSchema, issued)],
    run(input) {
      return outcomeOfMessage(responseDeserialize, input, (message) => {
        const { chain, clockSkewMs } = decodeIssuedSvid(message, { sentAtMs: NOW_MS, receivedAtMs: NOW_MS })
        if (!Number.isFinite(clockSkewMs)) throw new Violation(`The clocks differ by ${clockSkewMs} ms`)
        return `decoded: ${chain.length} ${clockSkewMs === 0}`
      })
    },
  }
}

/** An identity as a Workload API sends it. */
function fetchedSvidTarget({ client, domain }: Workloads): FuzzTarget {
  const { responseDeserialize } = methodDefinition(SpiffeWorkloadAPI.method.fetchX509SVID)
  const svid = parseX509Svid(client.chain, client.key)
  return {
    name: 'fetched-svid',
    seeds: [domain.bundles, new TrustBundles([])].map((bundles) =>
      toBinary(X509SVIDResponseSchema, encodeIdentity({ svid, bundles })),
    ),
    run(input) {
      return outcomeOfMessage(responseDeserialize, input, (message) => {
        const { svids, federated } = decodeState(message)
        return `decoded: ${svids.length} ${svids[0].chain.length} ${magnitude(federated.size)}`
      })
    },
  }
}

/** What becomes of bytes of protobuf: no message, or what `decode` makes of one. */
function outcomeOfMessage<Message>(
  deserialize: (bytes: Buffer) => Message,
  input: Uint8Array,
  decode: (message: Message) => string,
): string {
  let message: Message
  try {
    message = deserialize(Buffer.from(input))
  } catch (thrown) {
    // Whatever it is, gRPC makes a status of it.
    return `no message: ${shapeOf((thrown as Error).message)}`
  }
  return outcomeOf(() => decode(message), ControlError)
}
