import { text } from 'node:stream/consumers'
import { WorkloadApiClient } from '../../control/workload-api/client.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { parseFlags, required } from '../flags.ts'
import { SOCKET_HELP, socketPath } from './endpoint.ts'

/** `handfast svid validate` */
export const svidValidate: Command = {
  summary: 'Have the SPIFFE Workload API judge a JWT-SVID',
  usage: `Usage: handfast svid validate --audience NAME [--socket PATH] [--json] < TOKEN

Reads a token from standard input and prints the SPIFFE ID that it proves. Fails with the reason where it proves none: not
signed by its trust domain, expired, or meant for somebody else.

  --audience NAME      whom it must be for
  --json               print all that it claims, as JSON
${SOCKET_HELP}`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: {
        socket: { type: 'string' },
        audience: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
    const audience = required('--audience', values.audience, 'a name')
    using client = new WorkloadApiClient(socketPath(values.socket, io))
    const { spiffeId, claims } = await client.validateToken((await text(io.stdin)).trim(), audience)
    io.stdout.write(values.json ? `${JSON.stringify({ spiffeId, claims }, undefined, 2)}\n` : `${spiffeId}\n`)
    return ExitCode.success
  },
}
