import { chmod, lstat, mkdir, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { ConfigError, type ConfigErrorCode } from '../../config/errors.ts'
import { messageOf } from '../../errors.ts'
import { type PeerCredentials, peerCredentials } from '../../native/peer-credentials.ts'
import { loadSockets } from '../../native/sockets.ts'

export interface WorkloadSocketOptions {
  /** The configuration file, for messages. */
  readonly file: string
  readonly path: string
  /** Whether processes of other users than ours shall be able to connect. */
  readonly shared: boolean
  /** Takes a connection over; undefined for a process that the kernel does not tell. */
  readonly accept: (connection: Socket, from: PeerCredentials | undefined) => void
  readonly onError: (error: Error) => void
}

/** Write for group and others: whoever may write to a directory can put another socket in the place of ours. */
const WRITABLE_BY_OTHERS = 0o022

/** Who may connect to a socket is who may write to it (unix(7)); who is served is another question. */
const PRIVATE_SOCKET_MODE = 0o600
const SHARED_SOCKET_MODE = 0o666
const PRIVATE_DIRECTORY_MODE = 0o700
const SHARED_DIRECTORY_MODE = 0o755

/** More than the programs beside one workload; each costs a few kilobytes. */
const MAX_CONNECTIONS = 256

/**
 * Listens on a Unix socket and tells who connects. Its directory is made unless it is there; a socket that a crash has left
 * is replaced, and nothing else is.
 *
 * @throws ConfigError CONFIG_INVALID, CONFIG_INSECURE_PERMISSIONS, CONFIG_UNREADABLE, CONFIG_PORT_IN_USE
 */
export async function listenForWorkloads(options: WorkloadSocketOptions): Promise<AsyncDisposable> {
  const { path, shared, accept, onError } = options
  const system = socketSystem(options)
  await prepareDirectory(options)
  await removeLeftover(options)
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    const fd = descriptorOf(socket)
    accept(socket, fd === undefined ? undefined : peerCredentials(system, fd))
  })
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  }).catch((error: unknown) => {
    throw refusal(options, 'CONFIG_UNREADABLE', 'a path where a socket can be made', messageOf(error))
  })
  server.on('error', onError)
  await chmod(path, shared ? SHARED_SOCKET_MODE : PRIVATE_SOCKET_MODE)
  return {
    // Node removes the socket of a server that it closes.
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
      }),
  }
}

/** Callers are known by what the kernel tells of them, and by nothing else: without it, nobody is served. */
function socketSystem(options: WorkloadSocketOptions) {
  const found = loadSockets()
  if (found.kind === 'available') return found.sockets.system
  throw refusal(options, 'CONFIG_INVALID', 'a system that tells who connects', found.reason)
}

/**
 * The descriptor of a connection, as long as it is open. Node has no public name for it; where the private one is no more, the
 * caller stays unknown and is refused.
 */
function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as { readonly _handle?: { readonly fd?: unknown } | null }
  const fd = handle?.fd
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}

async function prepareDirectory(options: WorkloadSocketOptions): Promise<void> {
  const directory = dirname(options.path)
  try {
    await mkdir(directory, {
      recursive: true,
      mode: options.shared ? SHARED_DIRECTORY_MODE : PRIVATE_DIRECTORY_MODE,
    })
  } catch (error) {
    throw refusal(options, 'CONFIG_UNREADABLE', 'a directory for the socket', messageOf(error))
  }
  const { mode, uid } = await lstat(`${directory}/`)
  const owners = [0, process.geteuid!()]
  if (owners.includes(uid) && (mode & WRITABLE_BY_OTHERS) === 0) return
  throw refusal(
    options,
    'CONFIG_INSECURE_PERMISSIONS',
    'a socket in a directory of its own, which no other user can write to',
    `${directory} of user ${uid} with mode ${(mode & 0o7777).toString(8).padStart(4, '0')}`,
    `name a directory below it that does not exist yet: it is made as it has to be`,
  )
}

async function removeLeftover(options: WorkloadSocketOptions): Promise<void> {
  const { path } = options
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket())
    throw refusal(options, 'CONFIG_INVALID', 'a path that is free', `${path}, which is no socket`)
  if (await answers(path))
    throw refusal(options, 'CONFIG_PORT_IN_USE', 'a free path', `${path}, which another program listens on`)
  await rm(path)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path)
    const settle = (answer: boolean): void => {
      probe.destroy()
      resolve(answer)
    }
    probe.once('connect', () => settle(true))
    probe.once('error', () => settle(false))
  })
}

function refusal(
  { file }: WorkloadSocketOptions,
  code: ConfigErrorCode,
  expected: string,
  got: string,
  hint?: string,
): ConfigError {
  const field = 'spec.workloadApi.socket'
  return new ConfigError(code, [{ file, field, expected, got, ...(hint !== undefined && { hint }) }])
}
