import * as z from 'zod'
import {
  API_VERSION,
  type KindSchema,
  checked,
  label,
  mapping,
  nonEmptyList,
  port,
  principalPattern,
  trustDomain,
} from './fields.ts'
import {
  conditionKey,
  grpcMethod,
  grpcService,
  headerName,
  hostPattern,
  ipBlock,
  method,
  namespacePattern,
  pathPattern,
  serviceAccountName,
  some,
  valuePattern,
} from './policy-values.ts'

/** Who calls: every field that is there must hold. */
export interface PolicySource {
  /** Any of these patterns of SPIFFE IDs. */
  readonly principals?: readonly string[] | undefined
  readonly notPrincipals?: readonly string[] | undefined
  /** Any of these namespaces of the mesh's own trust domain; one may end with `*`. */
  readonly namespaces?: readonly string[] | undefined
  readonly notNamespaces?: readonly string[] | undefined
  /** Any of these service accounts of the mesh's own trust domain: `name` of the policy's namespace, or `namespace/name`. */
  readonly serviceAccounts?: readonly string[] | undefined
  readonly notServiceAccounts?: readonly string[] | undefined
  readonly trustDomains?: readonly string[] | undefined
  readonly notTrustDomains?: readonly string[] | undefined
  /** Any of these blocks of addresses that the connection comes from. */
  readonly ipBlocks?: readonly string[] | undefined
  readonly notIpBlocks?: readonly string[] | undefined
  /** Any of these patterns of `issuer/subject`, of a JWT that was found good. */
  readonly requestPrincipals?: readonly string[] | undefined
  readonly notRequestPrincipals?: readonly string[] | undefined
}

/** A condition on one header. */
export interface HeaderCondition {
  /** In lower case. */
  readonly name: string
  /** Any of these. */
  readonly values?: readonly string[] | undefined
  /** None of these, or no such header. */
  readonly notValues?: readonly string[] | undefined
}

/** What is called: every field that is there must hold. */
export interface PolicyOperation {
  readonly ports?: readonly number[] | undefined
  readonly notPorts?: readonly number[] | undefined
  readonly methods?: readonly string[] | undefined
  readonly notMethods?: readonly string[] | undefined
  /** Any of these hosts; one that begins with `*.` stands for all its subdomains. */
  readonly hosts?: readonly string[] | undefined
  readonly notHosts?: readonly string[] | undefined
  /** Any of these paths: exact, prefixes with `*` at their end, or templates. */
  readonly paths?: readonly string[] | undefined
  readonly notPaths?: readonly string[] | undefined
  /** Every one of these conditions. */
  readonly headers?: readonly HeaderCondition[] | undefined
  readonly grpcServices?: readonly string[] | undefined
  readonly notGrpcServices?: readonly string[] | undefined
  readonly grpcMethods?: readonly string[] | undefined
  readonly notGrpcMethods?: readonly string[] | undefined
}

/** A further condition: on one value, or an expression. */
export interface PolicyCondition {
  /** `connection.sni`, `connection.alpn`, `connection.group` or `request.auth.claims[NAME]`. */
  readonly key?: string | undefined
  readonly values?: readonly string[] | undefined
  readonly notValues?: readonly string[] | undefined
  /** In the Common Expression Language; instead of all the others. */
  readonly expression?: string | undefined
}

/** Matches when any source and any operation match and all conditions hold; a list that is absent matches everything. */
export interface PolicyRule {
  readonly from?: readonly PolicySource[] | undefined
  readonly to?: readonly PolicyOperation[] | undefined
  readonly when?: readonly PolicyCondition[] | undefined
}

export type PolicyAction = 'ALLOW' | 'DENY' | 'AUDIT'

/** Which workloads of the namespace a resource is for. */
export interface WorkloadSelector {
  readonly serviceAccounts: readonly string[]
}

/** An AuthorizationPolicy resource (docs/policy.md). */
export interface AuthorizationPolicy {
  readonly apiVersion: typeof API_VERSION
  readonly kind: 'AuthorizationPolicy'
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: {
    /** Which workloads of the namespace it is for; absent: all. */
    readonly selector?: WorkloadSelector | undefined
    readonly action: PolicyAction
    /** Decides nothing; what it would have decided is noted. */
    readonly dryRun?: boolean | undefined
    /** It matches when any of these does; none: it never matches. */
    readonly rules: readonly PolicyRule[]
  }
}

/** More is a program, and belongs into one. */
const MAX_EXPRESSION_CHARS = 1_024

const principals = some(principalPattern, 'SPIFFE ID patterns')
const namespaces = some(namespacePattern, 'namespaces')
const serviceAccounts = some(serviceAccountName, 'service accounts')
const trustDomains = some(trustDomain, 'trust domains')
const ipBlocks = some(ipBlock, 'blocks of IP addresses')
const values = some(valuePattern, 'values')
const ports = some(port, 'ports')
const methods = some(method, 'HTTP methods')
const hosts = some(hostPattern, 'hosts')
const paths = some(pathPattern, 'paths')
const grpcServices = some(grpcService, 'gRPC services')
const grpcMethods = some(grpcMethod, 'gRPC methods')

// An entry without a field would match everything: `- {}` in a list of restrictions is a mistake.
const source = withSomeField({
  principals,
  notPrincipals: principals,
  namespaces,
  notNamespaces: namespaces,
  serviceAccounts,
  notServiceAccounts: serviceAccounts,
  trustDomains,
  notTrustDomains: trustDomains,
  ipBlocks,
  notIpBlocks: ipBlocks,
  requestPrincipals: values,
  notRequestPrincipals: values,
})

const header = mapping({ name: headerName, values, notValues: values }).refine(
  (entry) => entry.values !== undefined || entry.notValues !== undefined,
  { error: 'at least one of values, notValues', when: isSound },
)

const operation = withSomeField({
  ports,
  notPorts: ports,
  methods,
  notMethods: methods,
  hosts,
  notHosts: hosts,
  paths,
  notPaths: paths,
  headers: nonEmptyList(header, 'conditions on headers').optional(),
  grpcServices,
  notGrpcServices: grpcServices,
  grpcMethods,
  notGrpcMethods: grpcMethods,
})

const expression = checked(
  `an expression of 1 to ${MAX_EXPRESSION_CHARS} characters`,
  (text) => text.trim() !== '' && text.length <= MAX_EXPRESSION_CHARS,
)

const condition = mapping({
  key: conditionKey.optional(),
  values,
  notValues: values,
  expression: expression.optional(),
}).refine(
  (entry) => {
    const comparesValues = entry.values !== undefined || entry.notValues !== undefined
    return entry.expression === undefined
      ? entry.key !== undefined && comparesValues
      : entry.key === undefined && !comparesValues
  },
  { error: 'a key with values or notValues, or an expression alone', when: isSound },
)

const rule = mapping({
  from: nonEmptyList(source, 'sources').optional(),
  to: nonEmptyList(operation, 'operations').optional(),
  when: nonEmptyList(condition, 'conditions').optional(),
})

/** Which workloads of the namespace a resource is for. */
export const workloadSelector: z.ZodType<WorkloadSelector> = mapping({
  serviceAccounts: nonEmptyList(label, 'service accounts'),
})

/** The schema of one AuthorizationPolicy resource. */
export const authorizationPolicySchema: KindSchema<AuthorizationPolicy> = mapping({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('AuthorizationPolicy'),
  metadata: mapping({ name: label, namespace: label }),
  spec: mapping({
    selector: workloadSelector.optional(),
    action: z.enum(['ALLOW', 'DENY', 'AUDIT']),
    dryRun: z.boolean({ error: 'true or false' }).default(false),
    rules: z.array(rule, { error: 'a list of rules' }).default([]),
  }).superRefine(({ action, rules }, context) => {
    if (action === 'ALLOW' || rules.length > 0) return
    const verb = action === 'DENY' ? 'denies' : 'audits'
    const message = `at least one rule, because ${article(action)} policy without rules ${verb} nothing`
    context.addIssue({ code: 'custom', path: ['rules'], message })
  }),
})

function article(action: PolicyAction): string {
  return action === 'AUDIT' ? 'an AUDIT' : `a ${action}`
}

/** A mapping in which at least one field is set. */
function withSomeField<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  return mapping(shape).refine((entry) => Object.values(entry).some((value) => value !== undefined), {
    error: `at least one field such as ${Object.keys(shape)[0]}`,
    when: isSound,
  })
}

/** An unknown key is reported as such; that nothing else is there goes without saying. */
function isSound({ issues }: z.core.ParsePayload): boolean {
  return issues.length === 0
}
