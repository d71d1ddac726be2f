import type * as z from 'zod'
import type { Address } from './address.ts'
import {
  duration,
  envelope,
  filePath,
  listenAddress,
  type LogLevel,
  logSection,
  mapping,
  trustDomain,
} from './fields.ts'
import { formatDuration } from './duration.ts'

/** The `spec` of a controller.yaml, with every default filled in. */
export interface ControllerConfig {
  readonly trustDomain: string
  readonly listen: Address
  /** The directory with the authority's keys, the hashed join tokens and the journal. */
  readonly stateDir: string
  /** How long the SVIDs live that it issues. */
  readonly svidTtlMs: number
  /** How long its intermediate certificate lives. */
  readonly caTtlMs: number
  /** A policy file, or a directory of `*.yaml` files. */
  readonly policyPath?: string
  readonly log: { readonly level: LogLevel }
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

const spec = mapping({
  trustDomain,
  listen: listenAddress.prefault('127.0.0.1:15012'),
  stateDir: filePath,
  svidTtl: duration({ min: 10_000, max: DAY_MS }).prefault('1h'),
  caTtl: duration({ min: HOUR_MS, max: 3_650 * DAY_MS }).prefault('365d'),
  policyPath: filePath.optional(),
  log: logSection,
})

/** The schema of a controller.yaml (docs/configuration.md). */
export const controllerConfigSchema: z.ZodType<ControllerConfig> = envelope(
  'ControllerConfig',
  spec.superRefine(checkLifetimes).transform(({ svidTtl, caTtl, policyPath, ...rest }) => ({
    ...rest,
    ...(policyPath === undefined ? {} : { policyPath }),
    svidTtlMs: svidTtl,
    caTtlMs: caTtl,
  })),
)

/** An SVID cannot outlive the certificate that signs it, and the last ones signed deserve their whole life. */
function checkLifetimes({ svidTtl, caTtl }: z.output<typeof spec>, context: z.RefinementCtx): void {
  if (caTtl >= 2 * svidTtl) return
  context.addIssue({
    code: 'custom',
    path: ['caTtl'],
    message: `at least twice spec.svidTtl, which is ${formatDuration(svidTtl)}`,
    params: { got: formatDuration(caTtl) },
  })
}
