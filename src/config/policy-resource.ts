import * as z from 'zod'
import { API_VERSION, type KindSchema, label, mapping } from './fields.ts'
import { type PeerAuthentication, peerAuthenticationSchema } from './peer-authentication-config.ts'
import { type AuthorizationPolicy, authorizationPolicySchema } from './policy-config.ts'
import { type RequestAuthentication, requestAuthenticationSchema } from './request-authentication-config.ts'

/** Resources in this namespace are for the workloads of every namespace. */
export const ROOT_NAMESPACE = 'handfast-system'

/** What happens to requests for workloads that no ALLOW policy names (docs/policy.md). */
export interface AuthorizationDefault {
  readonly apiVersion: typeof API_VERSION
  readonly kind: 'AuthorizationDefault'
  /** There is one in a mesh, and it lies in the root namespace. */
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: { readonly action: 'ALLOW' | 'DENY' }
}

/** Any resource of policy. */
export type PolicyResource =
  | AuthorizationDefault
  | AuthorizationPolicy
  | PeerAuthentication
  | RequestAuthentication

/** The schema of one AuthorizationDefault resource. */
export const authorizationDefaultSchema: KindSchema<AuthorizationDefault> = mapping({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('AuthorizationDefault'),
  metadata: mapping({
    name: label,
    namespace: z.literal(ROOT_NAMESPACE),
  }),
  spec: mapping({ action: z.enum(['ALLOW', 'DENY']) }),
})

/** The schema of one policy resource, of whatever kind. */
export const policyResourceSchema: z.ZodType<PolicyResource> = z.discriminatedUnion(
  'kind',
  [
    authorizationDefaultSchema,
    authorizationPolicySchema,
    peerAuthenticationSchema,
    requestAuthenticationSchema,
  ],
  {
    error: ({ code, input }) =>
      code === 'invalid_union' && isMapping(input)
        ? 'one of "AuthorizationDefault", "AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"'
        : 'a mapping',
  },
)

function isMapping(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
