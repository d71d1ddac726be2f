import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { FlightLogError } from '../../authz/errors.ts'
import { decodeFlightLine } from '../../authz/flight/decode.ts'
import type { FlightLine } from '../../authz/flight/flight-line.ts'
import { ConfigError } from '../../config/errors.ts'
import { messageOf } from '../../errors.ts'
import { openAdminPage } from '../admin-client.ts'
import type { CommandIo } from '../command.ts'
import { UsageError } from '../errors.ts'
import { parseHostPort } from '../flags.ts'

/** The flags that say whose decisions are meant. */
export const FLIGHT_OPTIONS = {
  log: { type: 'string', multiple: true },
  admin: { type: 'string', multiple: true },
} as const

/** What the help of each verb says of them. */
export const FLIGHT_OPTIONS_HELP = `  --log FILE               a flight log that handfast authz log has written, - for standard input; may be repeated
  --admin HOST:PORT        the decisions that a running proxy has kept, by its spec.admin.listen; may be repeated
`

/** What was given for {@link FLIGHT_OPTIONS}. */
export interface FlightFlags {
  readonly log?: readonly string[] | undefined
  readonly admin?: readonly string[] | undefined
}

/**
 * The lines of all logs that are named, one log after the other.
 *
 * @throws UsageError, ConfigError, AdminError, FlightLogError with the file and the line
 */
export async function* flightLines(
  { log = [], admin = [] }: FlightFlags,
  io: CommandIo,
): AsyncGenerator<FlightLine, void, undefined> {
  if (log.length + admin.length === 0)
    throw new UsageError('--log: expected a flight log, or --admin HOST:PORT, got nothing')
  const addresses = admin.map((text) => ({ text, address: parseHostPort('--admin', text) }))
  for (const file of log) yield* linesIn(file === '-' ? io.stdin : openLog(file), file)
  for (const { text, address } of addresses)
    yield* linesIn(await openAdminPage(address, '/flight-log', io.signal), text)
}

async function* linesIn(stream: Readable, name: string): AsyncGenerator<FlightLine, void, undefined> {
  let number = 0
  try {
    for await (const text of createInterface({ input: stream, crlfDelay: Infinity })) {
      number++
      yield decodeFlightLine(text)
    }
  } catch (error) {
    if (error instanceof FlightLogError)
      throw new FlightLogError(error.code, `${name}:${number}: ${error.message}`, { cause: error })
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw new ConfigError(
      missing ? 'CONFIG_MISSING_FILE' : 'CONFIG_UNREADABLE',
      [
        {
          file: name,
          field: '--log',
          expected: 'a readable file',
          got: missing ? 'no such file' : messageOf(error),
        },
      ],
      { cause: error },
    )
  }
}

function openLog(file: string): Readable {
  const stream = createReadStream(file)
  // Told by the reading of lines; until that begins, nobody else would be listening.
  stream.on('error', () => {})
  return stream
}
