import { chmod, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { makeDirectory, SECRET_DIRECTORY_MODE, SECRET_FILE_MODE } from '../../ca/durable-file.ts'
import { refuseOpenDirectory } from '../../ca/secret-file.ts'
import { ConfigError } from '../../config/errors.ts'
import { HandfastError, messageOf } from '../../errors.ts'
import type { Logger } from '../../telemetry/log.ts'
import { MAX_MESSAGE_BYTES, readMessage } from './admin-message.ts'
import { STATE_FILES } from './state-files.ts'

/** What an operator asks of a running controller: a verb, and what it needs. */
export interface AdminRequest {
  readonly verb: string
  readonly [argument: string]: unknown
}

/** Answers requests of one verb with what can be written as JSON. @throws HandfastError, which the operator is told */
export type AdminHandler = (request: AdminRequest) => Promise<unknown>

/** An operator's command is one line; whoever sends nothing does not hold a connection. */
const REQUEST_TIMEOUT_MS = 10_000

/** The address of a Unix socket has room for 107 bytes and a zero (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107

/** Where the controller of a state directory takes its operator's commands. */
export function adminSocketPath(stateDir: string): string {
  return join(stateDir, STATE_FILES.admin, 'socket')
}

/**
 * Takes commands on a Unix socket that only the user of the controller can reach. The caller holds the lock of the state
 * directory, so that a socket which is there already is one that a crash has left.
 *
 * @throws ConfigError CONFIG_INVALID for a path that is too long, CaError CA_STORE_PERMISSIONS, CA_STORE_IO
 */
export async function listenForAdmin(
  stateDir: string,
  { handlers, log }: { readonly handlers: Readonly<Record<string, AdminHandler>>; readonly log: Logger },
): Promise<AsyncDisposable> {
  const path = adminSocketPath(stateDir)
  refuseLongPath(stateDir, path)
  const directory = join(stateDir, STATE_FILES.admin)
  // The directory keeps others out from the first moment, before the socket has its mode.
  await makeDirectory(directory, SECRET_DIRECTORY_MODE)
  await refuseOpenDirectory(directory)
  await rm(path, { force: true })
  const server = createServer({ allowHalfOpen: true }, (socket) => void answer(socket, handlers, log))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  await chmod(path, SECRET_FILE_MODE)
  server.on('error', (error) => log.error('The admin socket failed', { error }))
  return {
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
      }),
  }
}

async function answer(
  socket: Socket,
  handlers: Readonly<Record<string, AdminHandler>>,
  log: Logger,
): Promise<void> {
  socket.on('error', () => socket.destroy())
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy())
  let reply: unknown
  try {
    const request = (await readMessage(socket, MAX_MESSAGE_BYTES)) as AdminRequest
    socket.setTimeout(0)
    const handler = Object.hasOwn(handlers, request.verb) ? handlers[request.verb] : undefined
    if (handler === undefined) throw new TypeError(`This controller knows no command ${request.verb}`)
    const { verb, ...rest } = request
    reply = { result: await handler(request) }
    log.info('Operator command carried out', { verb, ...rest })
  } catch (error) {
    log.warn('Operator command refused', { error })
    const code = error instanceof HandfastError ? error.code : undefined
    reply = { error: { code, message: messageOf(error) } }
  }
  if (!socket.destroyed) socket.end(`${JSON.stringify(reply)}\n`)
}

function refuseLongPath(stateDir: string, path: string): void {
  const bytes = Buffer.byteLength(path)
  if (bytes <= MAX_SOCKET_PATH_BYTES) return
  const room = MAX_SOCKET_PATH_BYTES - (bytes - Buffer.byteLength(stateDir))
  throw new ConfigError('CONFIG_INVALID', [
    {
      file: 'controller',
      field: 'spec.stateDir',
      expected: `a path of at most ${room} bytes, since a Unix socket lies below it`,
      got: `${Buffer.byteLength(stateDir)} bytes: ${stateDir}`,
    },
  ])
}
