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
  return new LineLogger({ least: LOG_LEVELS.indexOf(level), destination, component }, {})
}

interface LineSink {
  /** The index of the least urgent level that is written. */
  readonly least: number
  readonly destination: LoggerOptions['destination']
  readonly component: string
}

class LineLogger implements Logger {
  readonly #sink: LineSink
  /** Fit for writing already. */
  readonly #own: LogFields

  constructor(sink: LineSink, own: LogFields) {
    this.#sink = sink
    this.#own = own
  }

  debug(message: string, fields?: LogFields): void {
    this.#write('debug', message, fields)
  }

  info(message: string, fields?: LogFields): void {
    this.#write('info', message, fields)
  }

  warn(message: string, fields?: LogFields): void {
    this.#write('warn', message, fields)
  }

  error(message: string, fields?: LogFields): void {
    this.#write('error', message, fields)
  }

  child(fields: LogFields): Logger {
    return new LineLogger(this.#sink, { ...this.#own, ...loggable(fields) })
  }

  #write(level: LogLevel, message: string, fields?: LogFields): void {
    const { least, destination, component } = this.#sink
    if (LOG_LEVELS.indexOf(level) < least) return
    const time = new Date().toISOString()
    const line = { level, time, component, ...this.#own, ...loggable(fields), message }
    destination.write(`${JSON.stringify(line)}\n`)
  }
}
