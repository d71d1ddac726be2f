import { connect, createServer, type Socket } from 'node:net'
import { formatAddress, type Address } from '../config/address.ts'
import { netError, NetError } from './errors.ts'
import { NodeConnection } from './node-connection.ts'
import type { Connection, ConnectOptions, Listener, ListenOptions, Transport } from './transport.ts'

/** Connections that wait to be accepted; more than the default, since a mesh sees bursts from many peers. */
const BACKLOG = 1024

/** A peer that vanished without a word is noticed after about this and a few probes more. */
const KEEP_ALIVE_MS = 30_000

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
  { onError }: ListenOptions = {},
): Promise<Listener> {
  const doing = `Listen on ${formatAddress(address)}`
  const server = createServer({ ...SOCKET_OPTIONS, pauseOnConnect: true }, (socket) =>
    accept(new NodeConnection(socket)),
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(netError(doing, error, address)))
    server.listen({ host: address.host, port: address.port, backlog: BACKLOG }, resolve)
  })
  server.removeAllListeners('error')
  server.on('error', (error) => onError?.(netError(doing, error)))
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
  return {
    address: { host: address.host, port },
    // Node reports the end of a server only when its connections have ended too; the port is free at once.
    close: () => {
      server.close()
      return Promise.resolve()
    },
  }
}

function connectTo(address: Address, { timeoutMs, signal }: ConnectOptions): Promise<Connection> {
  const doing = `Connect to ${formatAddress(address)}`
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(new NetError('NET_CANCELLED', `${doing}: Called off`))
      return
    }
    const socket: Socket = connect({ ...address, ...SOCKET_OPTIONS })
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
