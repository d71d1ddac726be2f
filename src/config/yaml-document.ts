import { type Document, isScalar, LineCounter, parseAllDocuments, type YAMLError } from 'yaml'
import { utf8 } from '../bytes/bytes.ts'
import { type DuplicateKey, duplicateKeys } from './duplicate-keys.ts'
import { ConfigError, type Problem } from './errors.ts'
import { fieldAt, type FieldPath, formatField, offsetOf } from './yaml-position.ts'

/** 1 MiB: hundreds of policies fit, and reading it takes well under a second. */
const MAX_TEXT_BYTES = 1_048_576

/** Enough for anchors that a person wrote, far too few for a "billion laughs". */
const MAX_ALIASES = 64

/** A document of a YAML stream as plain values, with the way back to where each stood. */
export interface YamlDocument {
  readonly value: unknown
  /** Where the field stands, or where the innermost mapping stands that should have had it. */
  locate(field: FieldPath, part: 'key' | 'value'): { readonly line: number; readonly column: number }
}

/**
 * Reads every document of a YAML 1.2 stream (core schema); documents without content are left out.
 *
 * @throws ConfigError CONFIG_SYNTAX with everything that is wrong with the syntax
 */
export function readYamlDocuments(text: string, file: string): YamlDocument[] {
  const bytes = text.length > MAX_TEXT_BYTES ? text.length : utf8(text).length
  if (bytes > MAX_TEXT_BYTES)
    throw new ConfigError('CONFIG_SYNTAX', [
      { file, field: '', expected: `at most ${MAX_TEXT_BYTES} bytes`, got: `${bytes}` },
    ])

  const lineCounter = new LineCounter()
  const documents = parseDocuments(text, file, lineCounter)
  // An empty stream is not an array of documents but one that says it is empty.
  if ('empty' in documents) return []
  const [first, ...others] = documents.flatMap((document) =>
    [...document.errors, ...document.warnings, ...duplicateKeys(document)]
      .sort((a, b) => a.pos[0] - b.pos[0])
      .map((error) => toProblem(error, { file, lineCounter, document })),
  )
  if (first !== undefined) throw new ConfigError('CONFIG_SYNTAX', [first, ...others])

  return documents.filter(hasContents).map((document) => ({
    value: toValue(document, file),
    locate(field, part) {
      const { line, col } = lineCounter.linePos(offsetOf(document, field, part))
      return { line, column: col }
    },
  }))
}

function parseDocuments(
  text: string,
  file: string,
  lineCounter: LineCounter,
): ReturnType<typeof parseAllDocuments> {
  try {
    return parseAllDocuments(text, {
      lineCounter,
      prettyErrors: false,
      schema: 'core',
      strict: true,
      stringKeys: true,
      // duplicateKeys sees to it.
      uniqueKeys: false,
    })
  } catch (cause) {
    // The parser follows mappings within mappings to the end of the stack; all else it reports.
    if (!(cause instanceof RangeError)) throw cause
    throw new ConfigError('CONFIG_SYNTAX', [{ file, field: '', ...EXPLANATIONS['RESOURCE_EXHAUSTION']! }], {
      cause,
    })
  }
}

function toValue(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES })
  } catch (cause) {
    const expected = `at most ${MAX_ALIASES} uses of anchors`
    throw new ConfigError('CONFIG_SYNTAX', [{ file, field: '', expected, got: 'more' }], { cause })
  }
}

/** A document of comments only, or of nothing, is no document to anyone but a YAML parser. */
function hasContents({ contents }: Document): boolean {
  return contents !== null && !(isScalar(contents) && contents.value === null && contents.source === '')
}

interface ErrorContext {
  readonly file: string
  readonly lineCounter: LineCounter
  readonly document: Document
}

function toProblem(error: YAMLError | DuplicateKey, { file, lineCounter, document }: ErrorContext): Problem {
  const { line, col } = lineCounter.linePos(error.pos[0])
  const field = formatField(fieldAt(document, error.pos[0]))
  return { file, line, column: col, field, ...explain(error) }
}

function explain(error: YAMLError | DuplicateKey): Pick<Problem, 'expected' | 'got'> {
  if (error.code === 'DUPLICATE_KEY') return { expected: 'each key once', got: 'this one again' }
  return (
    EXPLANATIONS[error.code] ?? { expected: 'YAML 1.2', got: `what its parser refuses: ${error.message}` }
  )
}

const EXPLANATIONS: Readonly<Record<string, Pick<Problem, 'expected' | 'got'>>> = {
  TAB_AS_INDENT: { expected: 'spaces as indentation', got: 'a tab' },
  NON_STRING_KEY: { expected: 'plain text as a key', got: 'something else' },
  RESOURCE_EXHAUSTION: { expected: 'nesting of a sane depth', got: 'more' },
}
