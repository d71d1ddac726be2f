import { type Command, type CommandIo } from '../command.ts'
import { parseFlags } from '../flags.ts'
import { runDemo } from './run-demo.ts'

/** `handfast demo` */
export const demo: Command = {
  summary: 'Show mutual TLS and policy at work: a tiny shop of two applications, on this machine',
  usage: `Usage: handfast demo [--once]

Starts a controller, two applications, their sidecars and an intruder, each a process of its own on whatever ports are
free, and shows: a caller allowed, two denied, two refused, certificates renewed under traffic, a handshake explained.
Then it keeps running and says what to try; Ctrl-C stops all of it. It needs neither root nor a cluster, and leaves
nothing behind.

  --once   stop after the last step

Exit code: 0 when every step held, 1 otherwise; then the logs are kept, and it says where.
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, { options: { once: { type: 'boolean' } } })
    return runDemo(io, { once: values.once === true })
  },
}
