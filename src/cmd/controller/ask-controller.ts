import { once } from 'node:events'
import { connect } from 'node:net'
import { CA_ERROR_CODES, CaError, type CaErrorCode } from '../../ca/errors.ts'
import { messageOf } from '../../errors.ts'
import { MAX_MESSAGE_BYTES, readMessage } from './admin-message.ts'
import { leaderDirectory } from './replicas.ts'
import { type AdminRequest, adminSocketPath } from './admin-socket.ts'

/** The longest step makes two keys and writes three files. */
const ANSWER_TIMEOUT_MS = 30_000

/**
 * Has the controller that runs in a state directory carry out a command: of several, the one that leads.
 *
 * @throws CaError CA_CONTROLLER_AWAY, and whatever the controller refuses the command with
 */
export async function askController(stateDir: string, request: AdminRequest): Promise<unknown> {
  const path = adminSocketPath(await leaderDirectory(stateDir))
  const socket = connect(path)
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy(new Error('No answer came in time')))
  let reply: Readonly<Record<string, unknown>>
  try {
    await once(socket, 'connect')
    socket.write(`${JSON.stringify(request)}\n`)
    reply = (await readMessage(socket, MAX_MESSAGE_BYTES)) as Readonly<Record<string, unknown>>
  } catch (error) {
    throw new CaError(
      'CA_CONTROLLER_AWAY',
      `No controller answers at ${path}: ${messageOf(error)}; is it running, as the same user, with this state directory?`,
      { cause: error },
    )
  } finally {
    socket.destroy()
  }
  if ('result' in reply) return reply['result']
  const { code, message } = Object(reply['error']) as { readonly code?: unknown; readonly message?: unknown }
  if (isCaCode(code)) throw new CaError(code, String(message))
  throw new Error(String(message))
}

function isCaCode(code: unknown): code is CaErrorCode {
  return typeof code === 'string' && Object.hasOwn(CA_ERROR_CODES, code)
}
