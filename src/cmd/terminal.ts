import type { Writable } from 'node:stream'

/** How text may be laid out on a stream. */
export interface Terminal {
  readonly colour: boolean
  /** Columns to lay text out in. */
  readonly width: number
}

/** Narrower than this and columns no longer align; wider and lines are hard to follow. */
const MIN_WIDTH = 80
const MAX_WIDTH = 110

/** When nobody says how wide: files, pipes, logs. */
const DEFAULT_WIDTH = 100

/**
 * What a stream can show. Colour follows https://no-color.org and FORCE_COLOR, then whether the stream is a terminal;
 * COLUMNS overrides the terminal's own width.
 */
export function terminalOf(
  stream: Writable & { readonly isTTY?: boolean; readonly columns?: number },
  env: Readonly<Record<string, string | undefined>>,
): Terminal {
  const asked = Number(env['COLUMNS'])
  const columns = asked > 0 ? asked : (stream.columns ?? DEFAULT_WIDTH)
  return {
    colour: hasColour(stream, env),
    width: Math.min(Math.max(Math.trunc(columns), MIN_WIDTH), MAX_WIDTH),
  }
}

function hasColour(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  if (isSet(env['NO_COLOR'])) return false
  if (isSet(env['FORCE_COLOR'])) return env['FORCE_COLOR'] !== '0'
  return stream.isTTY === true && env['TERM'] !== 'dumb'
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== ''
}
