import type { StageNumber } from './explanation.ts'

/** One row of the taxonomy of failures, in words for the operator of our side. */
export interface FailureEntry {
  readonly title: string
  readonly explanation: string
  readonly remedy: string
  /** The stage it belongs to. @default the first stage that was not answered */
  readonly stage?: StageNumber
}
