import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { DEFAULT_ADMIN, openAdminPage } from '../admin-client.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { parseFlags, parseHostPort } from '../flags.ts'

/** Who called whom, and with which paths, is nobody else's business. */
const OUTPUT_MODE = 0o600

/** `handfast authz log` */
export const authzLog: Command = {
  summary: 'Show what a proxy decides, decision by decision',
  usage: `Usage: handfast authz log [--admin HOST:PORT] [--follow] [--output FILE]

Prints the flight log of a running proxy: one JSON object a line for each of its last decisions, without bodies, queries and
credentials (docs/flight-log.md). simulate, suggest and coverage read what this writes.

  --admin HOST:PORT   the proxy's spec.admin.listen (default ${DEFAULT_ADMIN})
  --follow            go on with every decision that comes, until SIGINT or SIGTERM
  --output FILE       write to a new file, or the end of one, instead of standard output
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: {
        admin: { type: 'string', default: DEFAULT_ADMIN },
        follow: { type: 'boolean', default: false },
        output: { type: 'string' },
      },
    })
    const admin = parseHostPort('--admin', values.admin)
    const page = await openAdminPage(admin, values.follow ? '/flight-log?follow=1' : '/flight-log')
    const stop = (): void => void page.destroy()
    io.signal.addEventListener('abort', stop)
    try {
      if (values.output === undefined) await pipeline(page, io.stdout, { end: false })
      else await pipeline(page, createWriteStream(values.output, { flags: 'a', mode: OUTPUT_MODE }))
    } catch (error) {
      // What was asked for has been written; following ends no other way.
      if (!io.signal.aborted) throw error
    }
    return ExitCode.success
  },
}
