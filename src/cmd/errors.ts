import { HandfastError } from '../errors.ts'

/** Every way in which a command line can be refused. */
export const COMMAND_ERROR_CODES = {
  COMMAND_USAGE: 'The command line is not one that the command understands',
} as const

export type CommandErrorCode = keyof typeof COMMAND_ERROR_CODES

/** A command line that cannot be carried out; the process exits with 2. */
export class UsageError extends HandfastError<CommandErrorCode> {
  constructor(message: string, options?: ErrorOptions) {
    super('COMMAND_USAGE', message, options)
  }
}
