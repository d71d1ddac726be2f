import type { Socket } from 'node:net'
import { formatAddress, type Address } from '../config/address.ts'
import { netError, type NetError } from './errors.ts'
import type { Connection, ConnectionHandlers } from './transport.ts'

/** A {@link Connection} on a connected socket that nobody reads from yet and that allows half-open use. */
export class NodeConnection implements Connection {
  readonly local: Address
  readonly remote: Address
  readonly originalDestination: Address | undefined
  readonly #socket: Socket
  #handlers: ConnectionHandlers | undefined
  #error: NetError | undefined
  #gathering = false
  #paused = false
  #aborted = false
  #closed = false

  constructor(socket: Socket, originalDestination?: Address) {
    this.#socket = socket
    this.originalDestination = originalDestination
    // Read now: after a reset the socket has forgotten them.
    this.local = { host: plainHost(socket.localAddress), port: socket.localPort ?? 0 }
    this.remote = { host: plainHost(socket.remoteAddress), port: socket.remotePort ?? 0 }
    socket.on('error', (error) => {
      if (!this.#aborted) this.#error ??= netError(`Connection with ${formatAddress(this.remote)}`, error)
    })
    socket.on('close', () => {
      this.#closed = true
      this.#handlers?.closed(this.#error)
    })
  }

  attach(handlers: ConnectionHandlers): void {
    this.#handlers = handlers
    if (this.#closed) {
      queueMicrotask(() => handlers.closed(this.#error))
      return
    }
    this.#socket.on('end', () => handlers.end())
    this.#socket.on('drain', () => handlers.drain())
    this.#socket.on('data', (bytes: Buffer) => handlers.data(bytes))
    if (!this.#paused) this.#socket.resume()
  }

  write(bytes: Uint8Array, ownership: 'lent' | 'given' = 'lent'): boolean {
    if (this.#socket.destroyed) return true
    this.#gather()
    return this.#socket.write(ownership === 'given' ? bytes : Buffer.from(bytes))
  }

  /** What is written in one turn of the event loop leaves in one system call: a delivery of TLS is many records. */
  #gather(): void {
    if (this.#gathering) return
    this.#gathering = true
    this.#socket.cork()
    process.nextTick(() => {
      this.#gathering = false
      this.#socket.uncork()
    })
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#handlers !== undefined) this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  abort(): void {
    if (this.#aborted || this.#closed) return
    this.#aborted = true
    const socket = this.#socket
    // Between our FIN and its completion libuv refuses a reset (uv_tcp_close_reset); everything has left by then.
    const endingNow = socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished
    if (endingNow) socket.destroy()
    else socket.resetAndDestroy()
  }
}

/** A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d. */
/** An IPv4 address that a socket of both families has spelt as IPv6, as itself; nothing for what has no address any more. */
export function plainHost(host: string | undefined): string {
  return host === undefined ? '' : host.replace(/^::ffff:(?=\d+\.)/, '')
}
