import * as z from 'zod'
import { type Address, isDnsName } from './address.ts'
import { type AttestationConfig, attestationSection } from './attestation-config.ts'
import {
  checked,
  duration,
  envelope,
  filePath,
  label,
  listenAddress,
  type LogLevel,
  logSection,
  mapping,
  trustDomain,
  wholeNumber,
} from './fields.ts'
import { formatDuration } from './duration.ts'
import { type FederationConfig, federationSection } from './federation-config.ts'
import { trustDomainOf } from './spiffe.ts'

/** The `spec` of a controller.yaml, with every default filled in. */
export interface ControllerConfig {
  readonly trustDomain: string
  readonly listen: Address
  /** The directory with the authority's keys, the hashed join tokens and the journal. */
  readonly stateDir: string
  /** The name of this controller among those that share the state directory. */
  readonly replica: string
  /** How long the SVIDs live that it issues, unless their owners ask for another time. */
  readonly svidTtlMs: number
  /** The longest that it issues, whatever their owners ask for. */
  readonly maxSvidTtlMs: number
  /** How long the JWT-SVIDs live that it issues. */
  readonly jwtSvidTtlMs: number
  /** How long its intermediate certificate lives. */
  readonly caTtlMs: number
  /** The operator's own certificate authority. @default one that the controller makes */
  readonly authority?: AuthorityFiles
  /** A policy file, or a directory of `*.yaml` files. */
  readonly policyPath?: string
  readonly attestation: AttestationConfig
  readonly federation: FederationConfig
  /** @default Istio's API is not served */
  readonly istioCa?: IstioCaConfig | undefined
  readonly limits: IssuanceLimits
  readonly log: { readonly level: LogLevel }
}

/** Whether a controller may have this name. */
export function isReplica(text: string): boolean {
  return label.safeParse(text).success
}

/** How Istio's agents, and others who speak their API, get certificates. */
export interface IstioCaConfig {
  /** What their tokens must be for. */
  readonly audience: string
  /** What they know the controller by: names in its certificate. */
  readonly dnsNames: readonly string[]
}

/** How often something may be done: at once after a pause, and in the long run. */
export interface RateConfig {
  readonly atOnce: number
  readonly perMinute: number
}

/** What callers are held to. */
export interface IssuanceLimits {
  /** Certificates for one identity, which many workloads may share. */
  readonly certificatesPerIdentity: RateConfig
  /** Requests from one address, whoever it may be. */
  readonly requestsPerAddress: RateConfig
}

/** A thousand replicas that start at once, and renew every half hour. */
const DEFAULT_RATE: RateConfig = { atOnce: 1_000, perMinute: 600 }

/** Where an operator's certificate authority is. */
export type AuthorityFiles =
  | {
      readonly kind: 'pem'
      /** The authority first, then what leads to its root. */
      readonly certificateFile: string
      readonly keyFile: string
      /** Of an encrypted key. */
      readonly passphraseFile?: string | undefined
    }
  | { readonly kind: 'pkcs12'; readonly pkcs12File: string; readonly passphraseFile?: string | undefined }

/** The controller that was given no name. */
export const DEFAULT_REPLICA = 'main'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** The longest that the configuration lets an SVID live. */
export const MAX_SVID_TTL_MS: number = DAY_MS

const rate = mapping({
  atOnce: wholeNumber({ min: 1, max: 1_000_000 }).default(DEFAULT_RATE.atOnce),
  perMinute: wholeNumber({ min: 1, max: 1_000_000 }).default(DEFAULT_RATE.perMinute),
}).prefault({})

const authority = mapping({
  certificateFile: filePath.optional(),
  keyFile: filePath.optional(),
  pkcs12File: filePath.optional(),
  passphraseFile: filePath.optional(),
}).transform(({ certificateFile, keyFile, pkcs12File, passphraseFile }, context): AuthorityFiles => {
  const secret = passphraseFile === undefined ? {} : { passphraseFile }
  const pair = certificateFile !== undefined && keyFile !== undefined
  const single = pkcs12File !== undefined
  if (pair && !single) return { kind: 'pem', certificateFile, keyFile, ...secret }
  if (single && certificateFile === undefined && keyFile === undefined)
    return { kind: 'pkcs12', pkcs12File, ...secret }
  context.addIssue({
    code: 'custom',
    message: 'either certificateFile and keyFile, or pkcs12File',
    params: {
      got:
        Object.entries({ certificateFile, keyFile, pkcs12File })
          .flatMap(([name, value]) => (value === undefined ? [] : [name]))
          .join(', ') || 'none of them',
    },
  })
  return z.NEVER
})

const istioCa = mapping({
  audience: checked('some text', (text) => text !== '').prefault('istio-ca'),
  dnsNames: z
    .array(checked('a DNS name', isDnsName), { error: 'a list of DNS names' })
    .prefault(['istiod.istio-system.svc']),
})

const spec = mapping({
  trustDomain,
  listen: listenAddress.prefault('127.0.0.1:15012'),
  stateDir: filePath,
  replica: label.default(DEFAULT_REPLICA),
  svidTtl: duration({ min: 10_000, max: MAX_SVID_TTL_MS }).prefault('1h'),
  maxSvidTtl: duration({ min: 10_000, max: MAX_SVID_TTL_MS }).optional(),
  jwtSvidTtl: duration({ min: 10_000, max: HOUR_MS }).prefault('5m'),
  caTtl: duration({ min: HOUR_MS, max: 3_650 * DAY_MS }).prefault('365d'),
  authority: authority.optional(),
  policyPath: filePath.optional(),
  attestation: attestationSection,
  federation: federationSection,
  istioCa: istioCa.optional(),
  limits: mapping({ certificatesPerIdentity: rate, requestsPerAddress: rate }).prefault({}),
  log: logSection,
})

/** The schema of a controller.yaml (docs/configuration.md). */
export const controllerConfigSchema: z.ZodType<ControllerConfig> = envelope(
  'ControllerConfig',
  spec
    .superRefine(checkLifetimes)
    .superRefine(checkIdentities)
    .transform(
      ({ svidTtl, maxSvidTtl = svidTtl, jwtSvidTtl, caTtl, policyPath, authority: files, ...rest }) => ({
        ...rest,
        ...(files === undefined ? {} : { authority: files }),
        ...(policyPath === undefined ? {} : { policyPath }),
        svidTtlMs: svidTtl,
        maxSvidTtlMs: maxSvidTtl,
        jwtSvidTtlMs: jwtSvidTtl,
        caTtlMs: caTtl,
      }),
    ),
)

/** An SVID cannot outlive the certificate that signs it, and the last ones signed deserve their whole life. */
function checkLifetimes(
  { svidTtl, maxSvidTtl = svidTtl, caTtl }: z.output<typeof spec>,
  context: z.RefinementCtx,
): void {
  if (maxSvidTtl < svidTtl)
    context.addIssue({
      code: 'custom',
      path: ['maxSvidTtl'],
      message: `at least spec.svidTtl, which is ${formatDuration(svidTtl)}`,
      params: { got: formatDuration(maxSvidTtl) },
    })
  if (caTtl >= 2 * Math.max(svidTtl, maxSvidTtl)) return
  const [field, ttlMs] = maxSvidTtl > svidTtl ? ['maxSvidTtl', maxSvidTtl] : ['svidTtl', svidTtl]
  context.addIssue({
    code: 'custom',
    path: ['caTtl'],
    message: `at least twice spec.${field}, which is ${formatDuration(ttlMs)}`,
    params: { got: formatDuration(caTtl) },
  })
}

/** No token proves somebody of another trust domain, and nobody federates with itself. */
function checkIdentities(
  { trustDomain: own, attestation, federation, istioCa: istio }: z.output<typeof spec>,
  context: z.RefinementCtx,
): void {
  if (istio !== undefined && attestation.oidc.length === 0 && attestation.kubernetes === undefined)
    context.addIssue({
      code: 'custom',
      path: ['istioCa'],
      message: 'spec.attestation.kubernetes or spec.attestation.oidc, which say what tokens prove',
      params: { got: 'neither' },
    })
  for (const [index, { trustDomain: other }] of federation.trustDomains.entries())
    if (other === own)
      context.addIssue({
        code: 'custom',
        path: ['federation', 'trustDomains', index, 'trustDomain'],
        message: 'another trust domain than spec.trustDomain',
        params: { got: JSON.stringify(other) },
      })
  for (const [index, { spiffeId }] of attestation.oidc.entries()) {
    if (trustDomainOf(spiffeId) === own) continue
    context.addIssue({
      code: 'custom',
      path: ['attestation', 'oidc', index, 'spiffeId'],
      message: `a SPIFFE ID of the trust domain ${own}`,
      params: { got: JSON.stringify(spiffeId) },
    })
  }
}
