import type { ClientRequestArgs } from 'node:http'
import type { Duplex } from 'node:stream'
import { messageOf } from '../errors.ts'
import { ConnectionDuplex } from '../net/duplex.ts'
import type { Connection } from '../net/transport.ts'
import { CLIENT_IDLE_MS, MAX_IDLE_CONNECTIONS } from './limits.ts'
import { http } from './node-http.ts'

/** Options of a request that choose among the connections of an agent. */
export interface ReuseKey {
  /** Requests use connections that were made under the same key only. */
  readonly reuseKey?: string
}

/**
 * Keeps HTTP/1.1 connections to one server for further requests. Unused ones are ended in order, so that the server
 * sees an end and no reset.
 */
export abstract class ReusingAgent extends http.Agent {
  #retired = false
  #currentKey: string | undefined

  constructor() {
    super({ keepAlive: true, maxFreeSockets: MAX_IDLE_CONNECTIONS, timeout: CLIENT_IDLE_MS })
    // After the agent's own listener, which has just put the stream aside for further requests.
    this.on('free', (stream: Duplex, options: ReuseKey) => {
      if (this.#isRetired(options.reuseKey ?? '')) leave(stream)
    })
  }

  /** Makes a new connection to the server. */
  protected abstract open(): Promise<Connection>

  /** Sees every stream that was made over what {@link open} returned. */
  protected opened(_connection: Connection, _stream: ConnectionDuplex): void {}

  override createConnection(
    _options: ClientRequestArgs,
    created: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    void this.#create().then(
      (stream) => created(null, stream),
      (error: unknown) =>
        created(error instanceof Error ? error : new Error(messageOf(error)), undefined as unknown as Duplex),
    )
  }

  override getName(options: ClientRequestArgs & ReuseKey = {}): string {
    return options.reuseKey ?? ''
  }

  /**
   * Ends unused connections and, once they are unused, those that serve a request now.
   *
   * @param currentKey connections under it are spared. @default none
   */
  retire(currentKey?: string): void {
    if (currentKey === undefined) this.#retired = true
    else this.#currentKey = currentKey
    for (const [key, streams = []] of Object.entries(this.freeSockets)) {
      if (this.#isRetired(key)) for (const stream of streams.slice()) leave(stream)
    }
  }

  #isRetired(key: string): boolean {
    return this.#retired || (this.#currentKey !== undefined && this.#currentKey !== key)
  }

  async #create(): Promise<ConnectionDuplex> {
    const connection = await this.open()
    const stream = new ConnectionDuplex(connection)
    this.#endInOrder(stream)
    this.opened(connection, stream)
    return stream
  }

  #endInOrder(stream: ConnectionDuplex): void {
    // A server that ends its half will not answer again.
    stream.once('end', () => leave(stream))
    stream.on('timeout', () => {
      if (Object.values(this.freeSockets).some((free) => (free as Duplex[] | undefined)?.includes(stream)))
        leave(stream)
    })
  }
}

/** Node's agents give a stream up at `agentRemove`, and forget unused ones only when they cannot be written to. */
function leave(stream: Duplex): void {
  stream.end()
  stream.emit('agentRemove')
}
