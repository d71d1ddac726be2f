import { HandfastError } from '../errors.ts'

/** Every way in which what an operator configured can be refused. */
export const CONFIG_ERROR_CODES = {
  CONFIG_SYNTAX: 'A configuration file is not YAML 1.2, repeats a key, or exceeds a bound on its size',
  CONFIG_INVALID: 'A configuration file has an unknown, missing or unacceptable field',
  CONFIG_MISSING_FILE: 'A file that the configuration names does not exist',
  CONFIG_UNREADABLE: 'A file that the configuration names cannot be read',
  CONFIG_INSECURE_PERMISSIONS: 'A file with a secret can be read or written by others than its owner',
  CONFIG_PORT_IN_USE: 'An address that the configuration listens on is taken by another program',
} as const

export type ConfigErrorCode = keyof typeof CONFIG_ERROR_CODES

/** One thing that is wrong, and where. */
export interface Problem {
  /** The file as the operator named it. */
  readonly file: string
  /** From 1; absent when the problem is with the file as a whole. */
  readonly line?: number
  /** In characters from 1. */
  readonly column?: number
  /** Such as `spec.rules[0].from[0].principals`; empty when the problem lies in no field. */
  readonly field: string
  /** A noun phrase: what would have been accepted. */
  readonly expected: string
  /** A noun phrase: what was there. */
  readonly got: string
  /** The likely remedy. */
  readonly hint?: string
}

/** More than a screenful has one cause, and the first lines show it. */
const MAX_SHOWN_PROBLEMS = 20

/**
 * Configuration that is refused, with everything that is wrong with it. The operator is to blame.
 *
 * The message has a line for each of the first problems: `file:line:column field: expected X, got Y`.
 */
export class ConfigError extends HandfastError<ConfigErrorCode> {
  readonly problems: readonly Problem[]

  constructor(code: ConfigErrorCode, problems: readonly [Problem, ...Problem[]], options?: ErrorOptions) {
    const shown = problems.slice(0, MAX_SHOWN_PROBLEMS).map(formatProblem)
    const hidden = problems.length - shown.length
    super(code, (hidden > 0 ? [...shown, `… and ${hidden} more`] : shown).join('\n'), options)
    this.problems = problems
  }
}

/** The one line that an operator reads. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, field, expected, got, hint } = problem
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`
  const subject = field === '' ? `${place}:` : `${place} ${field}:`
  const text = `${subject} expected ${expected}, got ${got}${hint === undefined ? '' : ` (${hint})`}`
  return text.replaceAll(UNPRINTABLE, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}

/** What a file contains must not move the cursor of the terminal that shows it, nor begin a line of its own. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu
