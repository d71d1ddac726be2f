/**
 * The base of every error that Handfast throws on purpose.
 *
 * `code` is stable and listed in docs/errors.md; `message` names the field, what was expected and what came.
 * Subclasses say who is to blame; each layer keeps its codes in its own `errors.ts` as one `…_ERROR_CODES` table.
 */
export class HandfastError<Code extends string = string> extends Error {
  readonly code: Code

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/** The message of anything thrown, for the operator's eyes. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
