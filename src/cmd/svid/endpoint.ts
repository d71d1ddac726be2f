import type { CommandIo } from '../command.ts'
import { UsageError } from '../errors.ts'
import { quoted } from '../flags.ts'

/** Where programs find the Workload API (SPIFFE Workload Endpoint §4). */
const ENDPOINT_VARIABLE = 'SPIFFE_ENDPOINT_SOCKET'

/** For the help of verbs. */
export const SOCKET_HELP: string = `  --socket PATH        the socket; without it ${ENDPOINT_VARIABLE} names it, as unix:///PATH
`

/** The path of the Workload API's socket, by flag or environment. @throws UsageError */
export function socketPath(flag: string | undefined, { env }: Pick<CommandIo, 'env'>): string {
  const [name, text] = flag === undefined ? [ENDPOINT_VARIABLE, env[ENDPOINT_VARIABLE]] : ['--socket', flag]
  if (text === undefined || text === '')
    throw new UsageError(`--socket: expected the path of the Workload API's socket, got nothing`)
  const path = text.replace(/^unix:(?:\/\/(?=\/))?/, '')
  if (path.startsWith('/')) return path
  // A socket's path may be given by hand from where one is; an address of another kind may not.
  if (flag !== undefined && !/^[a-z]+:/.test(path)) return path
  throw new UsageError(`${name}: expected a path, or unix:///PATH, got ${quoted(text)}`)
}
