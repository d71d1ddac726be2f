import type * as z from 'zod'
import { ConfigError, type Problem } from './errors.ts'
import { knownKeysOf } from './fields.ts'
import { nearest } from './nearest.ts'
import { readYamlDocuments, type YamlDocument } from './yaml-document.ts'
import { type FieldPath, formatField } from './yaml-position.ts'

/** What a file is read as. */
export interface ParseOptions<T> {
  /** The file as the operator named it; it is shown, never opened. */
  readonly file: string
  readonly schema: z.ZodType<T>
}

/** A value with the way back to its text, for what only shows when the value is put to use. */
export interface Located<T> {
  readonly value: T
  /** Something wrong with a field of the value, such as a file it names that does not exist. */
  problem(field: FieldPath, found: Pick<Problem, 'expected' | 'got' | 'hint'>): Problem
}

/**
 * Reads a file with exactly one YAML document.
 *
 * @throws ConfigError CONFIG_SYNTAX, or CONFIG_INVALID with every problem in it
 */
export function parseYaml<T>(text: string, options: ParseOptions<T>): T {
  return parseYamlLocated(text, options).value
}

/**
 * Reads a file with exactly one YAML document, and keeps the way back to its lines.
 *
 * @throws ConfigError CONFIG_SYNTAX, or CONFIG_INVALID with every problem in it
 */
export function parseYamlLocated<T>(text: string, options: ParseOptions<T>): Located<T> {
  const located = parseYamlDocumentsLocated(text, options)
  if (located.length === 1) return located[0]!
  const got = located.length === 0 ? 'none' : `${located.length}`
  throw new ConfigError('CONFIG_INVALID', [
    { file: options.file, field: '', expected: 'one YAML document', got },
  ])
}

/**
 * Reads a file with any number of YAML documents, none included. It is all or nothing.
 *
 * @throws ConfigError CONFIG_SYNTAX, or CONFIG_INVALID with every problem in every document
 */
export function parseYamlDocuments<T>(text: string, options: ParseOptions<T>): T[] {
  return parseYamlDocumentsLocated(text, options).map(({ value }) => value)
}

/**
 * Reads a file with any number of YAML documents, and keeps the way back to their lines.
 *
 * @throws ConfigError CONFIG_SYNTAX, or CONFIG_INVALID with every problem in every document
 */
export function parseYamlDocumentsLocated<T>(text: string, { file, schema }: ParseOptions<T>): Located<T>[] {
  const located: Located<T>[] = []
  const problems: Problem[] = []
  for (const document of readYamlDocuments(text, file)) {
    const result = schema.safeParse(document.value, { error: expectation })
    if (!result.success) {
      const context = { file, root: document.value, prefix: [], document }
      for (const issue of result.error.issues)
        for (const problem of toProblems(issue, context)) problems.push(problem)
      continue
    }
    located.push({
      value: result.data,
      problem: (field, found) => ({
        file,
        ...document.locate(field, 'value'),
        field: formatField(field),
        ...found,
      }),
    })
  }
  const [first, ...others] = problems.sort(byPosition)
  if (first !== undefined) throw new ConfigError('CONFIG_INVALID', [first, ...others])
  return located
}

/**
 * Reads a JSON list that a machine wrote; problems name the field, not the line. The size is for the transport to bound.
 *
 * @throws ConfigError CONFIG_SYNTAX, or CONFIG_INVALID with every problem in it
 */
export function parseJsonList<T>(text: string, { file, schema }: ParseOptions<T>): T[] {
  const value = parseJson(text, file)
  if (!Array.isArray(value))
    throw new ConfigError('CONFIG_INVALID', [{ file, field: '', expected: 'a list', got: describe(value) }])
  const values: T[] = []
  const problems: Problem[] = []
  for (const [index, item] of (value as unknown[]).entries()) {
    const result = schema.safeParse(item, { error: expectation })
    if (result.success) {
      values.push(result.data)
      continue
    }
    const context = { file, root: item, prefix: [index] }
    for (const issue of result.error.issues)
      for (const problem of toProblems(issue, context)) problems.push(problem)
  }
  const [first, ...others] = problems
  if (first !== undefined) throw new ConfigError('CONFIG_INVALID', [first, ...others])
  return values
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const got = (cause as SyntaxError).message
    throw new ConfigError('CONFIG_SYNTAX', [{ file, field: '', expected: 'JSON', got }], { cause })
  }
}

/** What is expected where the schema itself does not say: the message of an issue is always that noun phrase. */
function expectation(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') return EXPECTED_TYPES[issue.expected] ?? issue.expected
  if (issue.code !== 'invalid_value') return undefined
  const values = issue.values.map((value) => JSON.stringify(value)).join(', ')
  return issue.values.length === 1 ? values : `one of ${values}`
}

const EXPECTED_TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  array: 'a list',
  object: 'a mapping',
  boolean: 'true or false',
  number: 'a number',
}

function byPosition(a: Problem, b: Problem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)
}

interface IssueContext {
  readonly file: string
  /** What the schema was given. */
  readonly root: unknown
  /** The way from the top of the file to it. */
  readonly prefix: FieldPath
  /** Knows the lines, if there are any to know. */
  readonly document?: YamlDocument
}

function toProblems(issue: z.core.$ZodIssue, { file, root, prefix, document }: IssueContext): Problem[] {
  const path = issue.path as (string | number)[]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const near = nearest(key, knownKeysOf(issue.message))
      return {
        file,
        ...document?.locate([...path, key], 'key'),
        field: formatField([...prefix, ...path, key]),
        expected: issue.message,
        got: 'an unknown key',
        ...(near === undefined ? {} : { hint: `did you mean "${near}"?` }),
      }
    })
  }
  const params = issue.code === 'custom' ? issue.params : undefined
  const got = (params as { got?: string } | undefined)?.got
  return [
    {
      file,
      ...document?.locate(path, 'value'),
      field: formatField([...prefix, ...path]),
      expected: issue.message,
      got: got ?? describe(valueAt(root, path)),
    },
  ]
}

function valueAt(root: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>((value, step) => {
    const holder = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
    return holder[step]
  }, root)
}

/** More of a value than this only hides the message. */
const MAX_SHOWN_CHARS = 80

function describe(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'object') return 'a mapping'
  const shown = JSON.stringify(value)
  if (typeof value !== 'string') return `the ${typeof value} ${shown}`
  return shown.length <= MAX_SHOWN_CHARS ? shown : `${shown.slice(0, MAX_SHOWN_CHARS)}…`
}
