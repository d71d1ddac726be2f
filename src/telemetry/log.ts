import { pino } from 'pino'
import { loggable } from './redact.ts'

/** From the most to the least talkative; `silent` writes nothing. */
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What a line says beside its message. Errors keep their code and causes; secrets are redacted by field name. */
export type LogFields = Readonly<Record<string, unknown>>

/** Where a component says what an operator should know. Messages are constant text; what varies goes into fields. */
export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** The same log, with `fields` on every line. */
  child(fields: LogFields): Logger
}

export interface LoggerOptions {
  /** Lines below it are dropped. @default 'info' */
  readonly level?: LogLevel
  /** Takes whole lines with their line feeds: a stream, a buffer. */
  readonly destination: { write(line: string): unknown }
  /** The part of Handfast that speaks, such as `proxy`. */
  readonly component: string
}

/** A log of JSON lines with `level`, `time` (RFC 3339, UTC), `component`, the fields of the line and `message`. */
export function createLogger({ level = 'info', destination, component }: LoggerOptions): Logger {
  const root = pino(
    {
      level,
      base: { component },
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => void destination.write(line) },
  )
  return overPino(root)
}

function overPino(target: pino.Logger): Logger {
  return {
    debug(message, fields) {
      if (target.isLevelEnabled('debug')) target.debug(loggable(fields), message)
    },
    info(message, fields) {
      if (target.isLevelEnabled('info')) target.info(loggable(fields), message)
    },
    warn(message, fields) {
      if (target.isLevelEnabled('warn')) target.warn(loggable(fields), message)
    },
    error(message, fields) {
      if (target.isLevelEnabled('error')) target.error(loggable(fields), message)
    },
    child: (fields) => overPino(target.child(loggable(fields))),
  }
}
