import * as z from 'zod'
import { checked, duration, filePath, httpsUrl, mapping } from './fields.ts'
import { isIdTemplate } from './id-template.ts'
import { type KeySetSource, someText, type TokenAlgorithm, tokenAlgorithms } from './token-fields.ts'

/** An issuer of OIDC tokens that proves workloads. */
export interface OidcConfig {
  readonly issuer: string
  readonly audience: string
  readonly keys: KeySetSource
  readonly algorithms: readonly TokenAlgorithm[]
  /** See id-template.ts. */
  readonly spiffeId: string
  /** Claims that a token must have, with their values. */
  readonly claims: Readonly<Record<string, string>>
}

/** The Kubernetes API that judges service-account tokens. */
export interface KubernetesConfig {
  readonly audience: string
  readonly apiServer: string
  readonly caFile: string
  readonly tokenFile: string
  readonly checkPods: boolean
}

/** What workloads may prove themselves by, beside join tokens and the certificate they have. */
export interface AttestationConfig {
  readonly oidc: readonly OidcConfig[]
  readonly kubernetes?: KubernetesConfig
  /** How far the clocks of issuers may be off. */
  readonly clockSkewMs: number
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

const oidc = mapping({
  issuer: someText,
  audience: someText,
  jwksFile: filePath.optional(),
  jwksUrl: httpsUrl.optional(),
  jwksCaFile: filePath.optional(),
  algorithms: tokenAlgorithms,
  spiffeId: checked(
    'a SPIFFE ID in whose path {claim} stands for a claim, such as spiffe://example.org/ci/{+repository}',
    isIdTemplate,
  ),
  claims: z
    .record(z.string(), z.string({ error: 'text' }), { error: 'a mapping of claims to text' })
    .prefault({}),
})

/** The `attestation` section of a controller.yaml. */
export const attestationSection: z.ZodType<AttestationConfig> = mapping({
  oidc: z.array(oidc, { error: 'a list of issuers' }).prefault([]),
  kubernetes: mapping({
    audience: someText.prefault('handfast'),
    apiServer: httpsUrl.prefault('https://kubernetes.default.svc'),
    caFile: filePath.prefault(`${SERVICE_ACCOUNT}/ca.crt`),
    tokenFile: filePath.prefault(`${SERVICE_ACCOUNT}/token`),
    checkPods: z.boolean({ error: 'true or false' }).default(true),
  }).optional(),
  clockSkew: duration({ min: 0, max: 300_000 }).prefault('1m'),
})
  .superRefine(({ oidc: issuers }, context) => checkIssuers(issuers, context))
  .transform(({ oidc: issuers, kubernetes, clockSkew }) => ({
    oidc: issuers.map(complete),
    ...(kubernetes !== undefined && { kubernetes }),
    clockSkewMs: clockSkew,
  }))
  .prefault({})

function checkIssuers(issuers: readonly z.output<typeof oidc>[], context: z.RefinementCtx): void {
  const refuse = (index: number, field: string, message: string, got: string): void =>
    context.addIssue({ code: 'custom', path: ['oidc', index, field], message, params: { got } })
  for (const [index, { issuer, jwksFile, jwksUrl, jwksCaFile }] of issuers.entries()) {
    if ((jwksFile === undefined) === (jwksUrl === undefined))
      refuse(index, 'jwksFile', 'this or jwksUrl', jwksUrl === undefined ? 'neither' : 'both')
    if (jwksCaFile !== undefined && jwksUrl === undefined)
      refuse(index, 'jwksCaFile', 'nothing, because no jwksUrl is fetched', JSON.stringify(jwksCaFile))
    if (issuers.findIndex((other) => other.issuer === issuer) !== index)
      refuse(index, 'issuer', 'an issuer of its own', `${JSON.stringify(issuer)}, which is taken`)
  }
}

function complete({ jwksFile = '', jwksUrl, jwksCaFile, ...rest }: z.output<typeof oidc>): OidcConfig {
  return {
    ...rest,
    keys:
      jwksUrl === undefined
        ? { kind: 'file', path: jwksFile }
        : { kind: 'url', url: jwksUrl, ...(jwksCaFile !== undefined && { caFile: jwksCaFile }) },
  }
}
