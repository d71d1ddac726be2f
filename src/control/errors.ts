import { HandfastError } from '../errors.ts'

/** Every way in which the talk between proxy and controller can fail. */
export const CONTROL_ERROR_CODES = {
  CONTROL_UNAVAILABLE: 'The controller could not be reached, or broke off',
  CONTROL_DEADLINE: 'The controller did not answer in time',
  CONTROL_REFUSED: 'The controller refused what was asked of it',
  CONTROL_PROTOCOL: 'The other side sent a message that the protocol does not allow there',
  CONTROL_CERTIFICATE:
    'The controller answered with a certificate that is not the one asked for, or does not verify',
  CONTROL_WORKLOAD_API: 'The SPIFFE Workload API could not be reached, refused, or said what it may not say',
} as const

export type ControlErrorCode = keyof typeof CONTROL_ERROR_CODES

export interface ControlErrorOptions extends ErrorOptions {
  /** The code that the controller gave for its refusal, such as CA_TOKEN_EXPIRED. */
  readonly refusal?: string
}

/** A call to the controller that failed. The message says what to look at; `refusal` what the controller objected to. */
export class ControlError extends HandfastError<ControlErrorCode> {
  readonly refusal?: string

  constructor(code: ControlErrorCode, message: string, options?: ControlErrorOptions) {
    super(code, message, options)
    if (options?.refusal !== undefined) this.refusal = options.refusal
  }
}
