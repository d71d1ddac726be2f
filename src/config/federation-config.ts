import * as z from 'zod'
import type { Address } from './address.ts'
import { duration, filePath, httpsUrl, listenAddress, mapping, spiffeId, trustDomain } from './fields.ts'

/** Where another trust domain's bundle comes from. */
export type BundleSource =
  /** A bundle document, followed as it changes. */
  | { readonly kind: 'file'; readonly file: string }
  /** A bundle endpoint of the profile https_web: known by its host name. */
  | { readonly kind: 'web'; readonly url: string; readonly caFile?: string }
  /** A bundle endpoint of the profile https_spiffe: known by its SPIFFE ID. */
  | {
      readonly kind: 'spiffe'
      readonly url: string
      readonly spiffeId: string
      /** The bundle document to begin with. */
      readonly file: string
    }

/** Another trust domain whose workloads are known here. */
export interface FederatedDomainConfig {
  readonly trustDomain: string
  readonly source: BundleSource
}

/** Where our own bundle is published. */
export interface BundleEndpointConfig {
  readonly listen: Address
  /** PEM, for the profile https_web. @default the controller's own SVID, for https_spiffe */
  readonly certificate?: { readonly certificateFile: string; readonly keyFile: string }
  /** How soon others shall look again. */
  readonly refreshHintMs: number
  /** How long a new key is published before anything rests on it. */
  readonly publishMs: number
}

/** Nobody tells whether others have looked: they have had so many times to (SPIFFE Federation §5.2.2, three to five). */
const PUBLISHED_HINTS = 3

/** How trust domains come to know each other. */
export interface FederationConfig {
  readonly bundleEndpoint?: BundleEndpointConfig
  readonly trustDomains: readonly FederatedDomainConfig[]
}

const bundleEndpoint = mapping({
  listen: listenAddress,
  certificateFile: filePath.optional(),
  keyFile: filePath.optional(),
  refreshHint: duration({ min: 1_000, max: 86_400_000 }).prefault('5m'),
})
  .superRefine(({ certificateFile, keyFile }, context) => {
    if ((certificateFile === undefined) === (keyFile === undefined)) return
    const missing = keyFile === undefined ? 'keyFile' : 'certificateFile'
    context.addIssue({ code: 'custom', path: [missing], message: 'a file, as the other one is given' })
  })
  .transform(({ listen, certificateFile, keyFile, refreshHint }): BundleEndpointConfig => ({
    listen,
    refreshHintMs: refreshHint,
    publishMs: PUBLISHED_HINTS * refreshHint,
    ...(certificateFile !== undefined &&
      keyFile !== undefined && { certificate: { certificateFile, keyFile } }),
  }))

const federatedDomain = mapping({
  trustDomain,
  bundleFile: filePath.optional(),
  bundleUrl: httpsUrl.optional(),
  spiffeId: spiffeId.optional(),
  caFile: filePath.optional(),
})

/** The `federation` section of a controller.yaml. */
export const federationSection: z.ZodType<FederationConfig> = mapping({
  bundleEndpoint: bundleEndpoint.optional(),
  trustDomains: z.array(federatedDomain, { error: 'a list of trust domains' }).prefault([]),
})
  .superRefine(({ trustDomains }, context) => checkDomains(trustDomains, context))
  .transform(({ bundleEndpoint: endpoint, trustDomains }) => ({
    ...(endpoint !== undefined && { bundleEndpoint: endpoint }),
    trustDomains: trustDomains.map((domain) => ({
      trustDomain: domain.trustDomain,
      source: sourceOf(domain),
    })),
  }))
  .prefault({})

function checkDomains(domains: readonly z.output<typeof federatedDomain>[], context: z.RefinementCtx): void {
  const refuse = (index: number, field: string, message: string, got: string): void =>
    context.addIssue({ code: 'custom', path: ['trustDomains', index, field], message, params: { got } })
  for (const [index, domain] of domains.entries()) {
    const { trustDomain: name, bundleFile, bundleUrl, spiffeId: id, caFile } = domain
    if (domains.findIndex((other) => other.trustDomain === name) !== index)
      refuse(index, 'trustDomain', 'a trust domain that is not named twice', JSON.stringify(name))
    if (bundleFile === undefined && bundleUrl === undefined)
      refuse(index, 'bundleFile', 'this or bundleUrl', 'neither')
    if (bundleUrl === undefined && (id ?? caFile) !== undefined)
      refuse(
        index,
        id === undefined ? 'caFile' : 'spiffeId',
        'nothing, because no bundleUrl is asked',
        'a value',
      )
    if (bundleUrl === undefined) continue
    if (id !== undefined && caFile !== undefined)
      refuse(
        index,
        'caFile',
        'nothing, because the endpoint is known by its SPIFFE ID',
        JSON.stringify(caFile),
      )
    if (id !== undefined && bundleFile === undefined)
      refuse(index, 'bundleFile', 'the bundle to begin with, to know the endpoint by', 'nothing')
    if (id === undefined && bundleFile !== undefined)
      refuse(
        index,
        'bundleFile',
        'nothing, unless spiffeId says who the endpoint is',
        JSON.stringify(bundleFile),
      )
  }
}

function sourceOf({
  bundleFile = '',
  bundleUrl,
  spiffeId: id,
  caFile,
}: z.output<typeof federatedDomain>): BundleSource {
  if (bundleUrl === undefined) return { kind: 'file', file: bundleFile }
  if (id !== undefined) return { kind: 'spiffe', url: bundleUrl, spiffeId: id, file: bundleFile }
  return { kind: 'web', url: bundleUrl, ...(caFile !== undefined && { caFile }) }
}
