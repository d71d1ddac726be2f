import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { Server, ServerCredentials } from '@grpc/grpc-js'

/** The connections of a gRPC server that does not listen: others have accepted and secured them. */
export class InjectedConnections {
  readonly #server: Server
  readonly #open = new Set<Duplex>()

  constructor(server: Server) {
    this.#server = server
  }

  /** @param credentials of this connection alone */
  accept(connection: Duplex, credentials: ServerCredentials): void {
    // An injector of its own is how grpc-js lets calls of different connections be told apart.
    const injector = this.#server.createConnectionInjector(credentials)
    this.#open.add(connection)
    connection.once('close', () => {
      this.#open.delete(connection)
      injector.destroy()
    })
    injector.injectConnection(connection)
  }

  /** Shuts the server down: calls under way end and connections close, and what is left after `graceMs` is cut. */
  async close(graceMs: number): Promise<void> {
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, graceMs)
    const closed = Array.from(this.#open, (connection) => once(connection, 'close'))
    const shutDown = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()))
    await Promise.race([Promise.allSettled([shutDown, ...closed]), late.promise])
    clearTimeout(timer)
    this.#server.forceShutdown()
    for (const connection of this.#open) connection.destroy()
  }
}
