import { connect, createServer, type Socket } from 'node:net'
import { formatAddress, type Address } from '../config/address.ts'
import { originalDestination } from '../native/socket.ts'
import { loadSockets } from '../native/sockets.ts'
import { netError, NetError } from './errors.ts'
import { NodeConnection, plainHost } from './node-connection.ts'
import { BACKLOG, KEEP_ALIVE_MS } from './tcp.ts'
import {
  DEFAULT_MAX_CONNECTIONS,
  type Connection,
  type ConnectOptions,
  type Listener,
  type ListenOptions,
  type Transport,
} from './transport.ts'

/** What a slow reader makes us hold; less would stop a fast one at every delivery, which brings 64 KiB at a time. */
const BUFFERED_BYTES = 256 * 1024

const SOCKET_OPTIONS = {
  highWaterMark: BUFFERED_BYTES,
  allowHalfOpen: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: KEEP_ALIVE_MS,
} as const

/** The portable transport, on Node's own sockets. */
export const nodeTransport: Transport = { name: 'node', listen, connect: connectTo }

async function listen(
  address: Address,
  accept: (connection: Connection) => void,
  {
    onError,
    maxConnections = DEFAULT_MAX_CONNECTIONS,
    sharesPort = false,
    isRedirected = false,
  }: ListenOptions = {},
): Promise<Listener> {
  const doing = `Listen on ${formatAddress(address)}`
  let open = 0
  let refused = 0
  let hasReported = false
  const server = createServer({ ...SOCKET_OPTIONS, pauseOnConnect: true }, (socket) => {
    hasReported = false
    open++
    socket.once('close', () => open--)
    accept(new NodeConnection(socket, isRedirected ? destinationOf(socket) : undefined))
  })
  server.maxConnections = maxConnections
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(netError(doing, error, address)))
    const { host, port } = address
    server.listen({ host, port, backlog: BACKLOG, reusePort: sharesPort }, resolve)
  })
  server.removeAllListeners('error')
  server.on('error', (error) => report(netError(doing, error)))
  server.on('drop', () => {
    refused++
    report(
      new NetError('NET_CONNECTION_LIMIT', `${doing}: ${maxConnections} connections are open, the limit`),
    )
  })
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
  return {
    address: { host: address.host, port },
    get open() {
      return open
    },
    get refused() {
      return refused
    },
    // Node reports the end of a server only when its connections have ended too; the port is free at once.
    close: () => {
      server.close()
      return Promise.resolve()
    },
  }

  function report(error: NetError): void {
    if (hasReported) return
    hasReported = true
    onError?.(error)
  }
}

/** Node does not tell; the kernel does, where there are native calls to ask it. */
function destinationOf(socket: Socket): Address | undefined {
  const probe = loadSockets()
  // The one way to a descriptor that Node owns; it is as old as Node, though nowhere documented.
  const { fd } = (socket as Socket & { readonly _handle?: { readonly fd?: number } })._handle ?? {}
  if (probe.kind === 'missing' || fd === undefined || fd < 0) return undefined
  return originalDestination(probe.sockets.system, fd, plainHost(socket.localAddress).includes(':'))
}

function connectTo(address: Address, { timeoutMs, signal, from }: ConnectOptions): Promise<Connection> {
  const doing = `Connect to ${formatAddress(address)}`
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(new NetError('NET_CANCELLED', `${doing}: Called off`))
      return
    }
    const socket: Socket = connect({
      ...address,
      ...SOCKET_OPTIONS,
      ...(from !== undefined && { localAddress: from }),
    })
    const timer = setTimeout(
      () => giveUp(new NetError('NET_TIMEOUT', `${doing}: No answer within ${timeoutMs} ms`)),
      timeoutMs,
    )
    socket.once('error', failed)
    socket.once('connect', () => {
      settle()
      resolve(new NodeConnection(socket))
    })
    signal?.addEventListener('abort', cancelled)

    function cancelled(): void {
      giveUp(new NetError('NET_CANCELLED', `${doing}: Called off`))
    }
    function failed(error: Error): void {
      giveUp(netError(doing, error, address))
    }
    function giveUp(error: NetError): void {
      settle()
      socket.on('error', () => {})
      socket.destroy()
      reject(error)
    }
    function settle(): void {
      clearTimeout(timer)
      signal?.removeEventListener('abort', cancelled)
      socket.removeListener('error', failed)
    }
  })
}
