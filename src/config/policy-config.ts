import * as z from 'zod'
import { API_VERSION, checked, label, mapping, nonEmptyList, port, principalPattern } from './fields.ts'

/** Who calls: every field that is there must hold. */
export interface PolicySource {
  /** Any of these patterns of SPIFFE IDs. */
  readonly principals?: readonly string[] | undefined
  readonly notPrincipals?: readonly string[] | undefined
  /** Any of these namespaces of the mesh's own trust domain; one may end with `*`. */
  readonly namespaces?: readonly string[] | undefined
  readonly notNamespaces?: readonly string[] | undefined
}

/** What is called: every field that is there must hold. */
export interface PolicyOperation {
  readonly ports?: readonly number[] | undefined
  readonly notPorts?: readonly number[] | undefined
  readonly methods?: readonly string[] | undefined
  readonly notMethods?: readonly string[] | undefined
  /** Any of these paths; one that ends with `*` stands for everything that begins so. */
  readonly paths?: readonly string[] | undefined
  readonly notPaths?: readonly string[] | undefined
}

/** Matches when any source and any operation match; a list that is absent matches everything. */
export interface PolicyRule {
  readonly from?: readonly PolicySource[] | undefined
  readonly to?: readonly PolicyOperation[] | undefined
}

export type PolicyAction = 'ALLOW' | 'DENY'

/** An AuthorizationPolicy resource (docs/policy.md). */
export interface AuthorizationPolicy {
  readonly apiVersion: typeof API_VERSION
  readonly kind: 'AuthorizationPolicy'
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: {
    /** Which workloads of the namespace it is for; absent: all. */
    readonly selector?: { readonly serviceAccounts: readonly string[] } | undefined
    readonly action: PolicyAction
    /** It matches when any of these does; none: it never matches. */
    readonly rules: readonly PolicyRule[]
  }
}

const namespacePattern = checked(
  'a namespace, which may end with *',
  (text) => text === '*' || /^[a-z0-9][-a-z0-9]{0,62}\*?$/.test(text),
)

const method = checked('an HTTP method in upper case such as GET', (text) =>
  /^[A-Z][A-Z0-9_-]{0,31}$/.test(text),
)

const pathPattern = checked(
  'a path such as /orders, or with * at its end such as /orders/*',
  (text) => text === '*' || /^\/[^*]*\*?$/.test(text),
)

const principals = nonEmptyList(principalPattern, 'SPIFFE ID patterns').optional()
const namespaces = nonEmptyList(namespacePattern, 'namespaces').optional()
const ports = nonEmptyList(port, 'ports').optional()
const methods = nonEmptyList(method, 'HTTP methods').optional()
const paths = nonEmptyList(pathPattern, 'paths').optional()

// An entry without a field would match everything: `- {}` in a list of restrictions is a mistake.
const source = mapping({
  principals,
  notPrincipals: principals,
  namespaces,
  notNamespaces: namespaces,
}).refine(hasField, {
  error: 'at least one of principals, notPrincipals, namespaces, notNamespaces',
  when: isSound,
})

const operation = mapping({
  ports,
  notPorts: ports,
  methods,
  notMethods: methods,
  paths,
  notPaths: paths,
}).refine(hasField, {
  error: 'at least one of ports, notPorts, methods, notMethods, paths, notPaths',
  when: isSound,
})

const rule = mapping({
  from: nonEmptyList(source, 'sources').optional(),
  to: nonEmptyList(operation, 'operations').optional(),
})

/** The schema of one AuthorizationPolicy resource. */
export const authorizationPolicySchema: z.ZodType<AuthorizationPolicy> = mapping({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('AuthorizationPolicy'),
  metadata: mapping({ name: label, namespace: label }),
  spec: mapping({
    selector: mapping({ serviceAccounts: nonEmptyList(label, 'service accounts') }).optional(),
    action: z.enum(['ALLOW', 'DENY']),
    rules: z.array(rule, { error: 'a list of rules' }).default([]),
  }).refine(({ action, rules }) => action === 'ALLOW' || rules.length > 0, {
    path: ['rules'],
    error: 'at least one rule, because a DENY policy without rules denies nothing',
  }),
})

/** An unknown key is reported as such; that nothing else is there goes without saying. */
function isSound({ issues }: z.core.ParsePayload): boolean {
  return issues.length === 0
}

function hasField(entry: object): boolean {
  return Object.values(entry).some((value) => value !== undefined)
}
