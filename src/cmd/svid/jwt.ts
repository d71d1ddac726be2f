import { WorkloadApiClient } from '../../control/workload-api/client.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { parseFlags, parseList, required } from '../flags.ts'
import { SOCKET_HELP, socketPath } from './endpoint.ts'

/** `handfast svid jwt` */
export const svidJwt: Command = {
  summary: 'Get a JWT-SVID from the SPIFFE Workload API',
  usage: `Usage: handfast svid jwt --audience NAMES [--socket PATH]

Prints a token that proves this process to whom it is for, for some minutes. Whoever sees it can use it as long.

  --audience NAMES     whom it is for, separated by commas
${SOCKET_HELP}`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: { socket: { type: 'string' }, audience: { type: 'string' } },
    })
    const audience = parseList('--audience', required('--audience', values.audience, 'a name'))
    using client = new WorkloadApiClient(socketPath(values.socket, io))
    io.stdout.write(`${await client.fetchToken(audience)}\n`)
    return ExitCode.success
  },
}
