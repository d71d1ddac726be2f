import * as z from 'zod'
import { checked } from './fields.ts'

/** How tokens may be signed. */
export type TokenAlgorithm = 'ES256' | 'ES384' | 'EdDSA' | 'PS256' | 'RS256'

/** Where an issuer's keys are published, to be fetched by whoever verifies tokens. */
export type KeySetSource =
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'url'
      readonly url: string
      /** PEM; the system's authorities without it. */
      readonly caFile?: string
    }

/** Any text but none. */
export const someText: z.ZodType<string, string> = checked('some text', (value) => value !== '')

/** @default the two that nearly all issuers use */
export const tokenAlgorithms: z.ZodType<TokenAlgorithm[], TokenAlgorithm[] | undefined> = z
  .array(z.enum(['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256']), { error: 'a list of signature algorithms' })
  .min(1, { error: 'at least one signature algorithm' })
  .default(['ES256', 'RS256'])
