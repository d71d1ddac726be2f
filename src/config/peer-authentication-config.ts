import * as z from 'zod'
import { API_VERSION, type KindSchema, label, mapping } from './fields.ts'
import { type WorkloadSelector, workloadSelector } from './policy-config.ts'

/** STRICT: mutual TLS only. PERMISSIVE: plaintext as well. DISABLE: plaintext only. */
export type MutualTlsMode = 'STRICT' | 'PERMISSIVE' | 'DISABLE'

/** A PeerAuthentication resource (docs/policy.md). */
export interface PeerAuthentication {
  readonly apiVersion: typeof API_VERSION
  readonly kind: 'PeerAuthentication'
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: {
    /** Which workloads of the namespace it is for; absent: all. */
    readonly selector?: WorkloadSelector | undefined
    /** Absent: the mode of what it is part of, the namespace or the mesh. */
    readonly mtls?: { readonly mode: MutualTlsMode } | undefined
    /** By port of the inbound listener, in decimal; needs a selector. */
    readonly portLevelMtls?: Readonly<Record<string, { readonly mode: MutualTlsMode }>> | undefined
  }
}

const mtls = mapping({ mode: z.enum(['STRICT', 'PERMISSIVE', 'DISABLE']) })

const portLevelMtls = z
  .record(z.string(), mtls, { error: 'a mapping from ports to modes' })
  .superRefine((modes, context) => {
    for (const port of Object.keys(modes)) {
      if (/^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535) continue
      const message = 'a port from 1 to 65535 as key'
      context.addIssue({ code: 'custom', path: [port], message, params: { got: JSON.stringify(port) } })
    }
  })

/** The schema of one PeerAuthentication resource. */
export const peerAuthenticationSchema: KindSchema<PeerAuthentication> = mapping({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('PeerAuthentication'),
  metadata: mapping({ name: label, namespace: label }),
  spec: mapping({
    selector: workloadSelector.optional(),
    mtls: mtls.optional(),
    portLevelMtls: portLevelMtls.optional(),
  })
    .refine((spec) => spec.mtls !== undefined || spec.portLevelMtls !== undefined, {
      error: 'at least one of mtls, portLevelMtls',
      when: ({ issues }) => issues.length === 0,
    })
    .refine((spec) => spec.portLevelMtls === undefined || spec.selector !== undefined, {
      path: ['selector'],
      error: 'a selector, because ports are those of some workload',
    }),
})
