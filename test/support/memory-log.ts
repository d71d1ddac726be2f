import type { LogFields, Logger, LogLevel } from '../../src/telemetry/log.ts'

/** One line of a {@link MemoryLog}. */
export interface LogLine {
  readonly level: Exclude<LogLevel, 'silent'>
  readonly message: string
  readonly fields: LogFields
}

/** A log that keeps its lines, for tests to read. Children write to the same lines. */
export class MemoryLog implements Logger {
  readonly lines: LogLine[]
  readonly #fields: LogFields

  constructor(lines: LogLine[] = [], fields: LogFields = {}) {
    this.lines = lines
    this.#fields = fields
  }

  debug(message: string, fields?: LogFields): void {
    this.#add('debug', message, fields)
  }

  info(message: string, fields?: LogFields): void {
    this.#add('info', message, fields)
  }

  warn(message: string, fields?: LogFields): void {
    this.#add('warn', message, fields)
  }

  error(message: string, fields?: LogFields): void {
    this.#add('error', message, fields)
  }

  child(fields: LogFields): Logger {
    return new MemoryLog(this.lines, { ...this.#fields, ...fields })
  }

  /** The lines with this message. */
  named(message: string): readonly LogLine[] {
    return this.lines.filter((line) => line.message === message)
  }

  #add(level: LogLine['level'], message: string, fields: LogFields = {}): void {
    this.lines.push({ level, message, fields: { ...this.#fields, ...fields } })
  }
}
