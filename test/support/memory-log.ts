import { setTimeout as pause } from 'node:timers/promises'
import type { LogFields, Logger, LogLevel } from '../../src/telemetry/log.ts'

/** One line of a {@link MemoryLog}. */
export interface LogLine {
  readonly level: Exclude<LogLevel, 'silent'>
  readonly message: string
  readonly fields: LogFields
}

/** Generous: the machine may have other things to do. */
const DEADLINE_MS = 10_000

const POLL_MS = 5

interface WrittenLine extends LogFields {
  readonly level: LogLine['level']
  readonly message: string
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

  /** Keeps the lines that another log has written. */
  take(text: string): void {
    for (const json of text.split('\n').filter((line) => line !== '')) {
      const {
        level,
        time: _time,
        component: _component,
        message,
        ...fields
      } = JSON.parse(json) as WrittenLine
      this.#add(level, message, fields)
    }
  }

  /** The lines with this message. */
  named(message: string): readonly LogLine[] {
    return this.lines.filter((line) => line.message === message)
  }

  /** The lines with this message, once there are so many. @throws when they do not come */
  async saw(message: string, count = 1): Promise<readonly LogLine[]> {
    for (const givenUpAt = Date.now() + DEADLINE_MS; Date.now() < givenUpAt; await pause(POLL_MS)) {
      const found = this.named(message)
      if (found.length >= count) return found
    }
    throw new Error(`Fewer than ${count} lines say ${JSON.stringify(message)}`)
  }

  #add(level: LogLine['level'], message: string, fields: LogFields = {}): void {
    this.lines.push({ level, message, fields: { ...this.#fields, ...fields } })
  }
}
