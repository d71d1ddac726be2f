import { HandfastError } from '../errors.ts'

/** Every way in which a command line can be refused. */
export const COMMAND_ERROR_CODES = {
  COMMAND_USAGE: 'The command line is not one that the command understands',
  COMMAND_ADMIN_AWAY: 'No proxy answers on the admin address',
  COMMAND_ADMIN_REFUSED: 'A proxy does not have what it was asked for, or does not give it',
} as const

export type CommandErrorCode = keyof typeof COMMAND_ERROR_CODES

/** A command line that cannot be carried out; the process exits with 2. */
export class UsageError extends HandfastError<CommandErrorCode> {
  constructor(message: string, options?: ErrorOptions) {
    super('COMMAND_USAGE', message, options)
  }
}

/** A proxy's admin interface that is away, or refuses. */
export class AdminError extends HandfastError<CommandErrorCode> {}

/** Every way in which traffic cannot be captured. */
export const CAPTURE_ERROR_CODES = {
  CAPTURE_TOOL_MISSING: 'A tool that changes the packet filter is not installed',
  CAPTURE_NOT_PERMITTED:
    'The process may not do what capturing traffic, or proving that it is captured, takes',
  CAPTURE_TOOL_FAILED: 'A tool that changes the packet filter reports a failure',
  CAPTURE_PROXY_RUNS: 'Capture cannot be proven while another program has the ports of the proxy',
  CAPTURE_NOT_WORKING: 'Traffic is not captured as the options say, or that it is could not be proven',
} as const

export type CaptureErrorCode = keyof typeof CAPTURE_ERROR_CODES

/** Traffic that cannot be captured, or is not; the message has what the kernel's tool said. */
export class CaptureError extends HandfastError<CaptureErrorCode> {}

/** Every way in which the demo can fail beside what its steps check. */
export const DEMO_ERROR_CODES = {
  DEMO_CHILD_ENDED: 'A process of the demo ended on its own',
  DEMO_TIMEOUT: 'A process of the demo did not do in time what it had to',
  DEMO_UNEXPECTED: 'A process of the demo answered something else than it had to',
} as const

export type DemoErrorCode = keyof typeof DEMO_ERROR_CODES

/** The demo's own world did not do as it must; the message names the process and its log. */
export class DemoError extends HandfastError<DemoErrorCode> {}
