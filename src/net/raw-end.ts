import type { Address } from '../config/address.ts'
import type { Connection, ConnectionHandlers } from './transport.ts'

/** How long a connection outlives its last TLS record, so that the peer reads it (see engine-connection.ts). */
const LINGER_MS = 1_000

/**
 * The connection as node:tls gets it, without its end: to node:tls a bare end of TCP is as good as close_notify, and nobody could
 * tell a stream that was cut from a whole one.
 */
export class RawEnd implements Connection {
  readonly local: Address
  readonly remote: Address
  /** Told of the end that node:tls is not told of. */
  onEnd: () => void = () => {}
  hasEnded = false
  readonly #connection: Connection
  #mayEnd = false

  constructor(connection: Connection) {
    this.#connection = connection
    this.local = connection.local
    this.remote = connection.remote
  }

  attach(handlers: ConnectionHandlers): void {
    this.#connection.attach({
      data: (bytes) => handlers.data(bytes),
      end: () => {
        this.hasEnded = true
        this.onEnd()
      },
      drain: () => handlers.drain(),
      closed: (error) => handlers.closed(error),
    })
  }

  write(bytes: Uint8Array, ownership?: 'lent' | 'given'): boolean {
    return this.#connection.write(bytes, ownership)
  }

  pause(): void {
    this.#connection.pause()
  }

  resume(): void {
    this.#connection.resume()
  }

  end(): void {
    this.#connection.end()
  }

  /** From here on, both halves of the stream inside having ended, node:tls destroys what it is done with. */
  letEnd(): void {
    this.#mayEnd = true
  }

  abort(): void {
    if (!this.#mayEnd) {
      this.#connection.abort()
      return
    }
    this.#connection.end()
    this.#connection.resume()
    setTimeout(() => this.#connection.abort(), LINGER_MS).unref()
  }
}
