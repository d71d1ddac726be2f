import { setTimeout as delay } from 'node:timers/promises'
import { formatAddress, type Address } from '../../config/address.ts'
import { NetError } from '../../net/errors.ts'
import type { Connection, Listener, Transport } from '../../net/transport.ts'
import { CaptureError } from '../errors.ts'

/** Where a connection can arrive: at what takes the place of the proxy's listeners, or of an application. */
export type Post = 'outbound' | 'inbound' | 'application'

/** What became of a connection. */
export type Outcome =
  | { readonly kind: 'arrived'; readonly post: Post; readonly original: Address | undefined }
  /** Somebody took it, but none of our posts. */
  | { readonly kind: 'elsewhere' }
  | { readonly kind: 'failed'; readonly error: NetError }

/** What is captured connects at once, since it never leaves the host; on a busy host perhaps a little later. */
const CONNECT_MS = 1_000

/** A connection that is there for one side is there for the other within a turn of the event loop or two. */
const ARRIVE_MS = 500
const POLL_MS = 5

/** Listens in the place of proxy and application, and sees which way connections go. */
export class Checkpoint implements AsyncDisposable {
  readonly #transport: Transport
  readonly #listeners = new Map<Post, Listener>()
  readonly #arrivals: { readonly post: Post; readonly connection: Connection }[] = []

  private constructor(transport: Transport) {
    this.#transport = transport
  }

  /**
   * @param host of all listeners: `::`, or `0.0.0.0` where there is no IPv6
   * @throws CaptureError CAPTURE_PROXY_RUNS
   */
  static async open(
    transport: Transport,
    {
      host,
      ports,
    }: { readonly host: string; readonly ports: Readonly<Record<'outbound' | 'inbound', number>> },
  ): Promise<Checkpoint> {
    const checkpoint = new Checkpoint(transport)
    try {
      await checkpoint.#listen('outbound', { host, port: ports.outbound })
      await checkpoint.#listen('inbound', { host, port: ports.inbound })
      await checkpoint.#listen('application', { host, port: 0 })
      return checkpoint
    } catch (error) {
      await checkpoint[Symbol.asyncDispose]()
      if (error instanceof NetError && error.code === 'NET_ADDRESS_IN_USE')
        throw new CaptureError(
          'CAPTURE_PROXY_RUNS',
          `${error.message}; expected the ports to be free, since whatever has them would be told what is captured: verify before the proxy starts`,
          { cause: error },
        )
      throw error
    }
  }

  /** The port of the application's place. */
  get applicationPort(): number {
    return this.#listeners.get('application')!.address.port
  }

  /** Connects, and sees where that leads. @param from see ConnectOptions */
  async connect(to: Address, from?: string): Promise<Outcome> {
    let client: Connection
    try {
      client = await this.#transport.connect(to, {
        timeoutMs: CONNECT_MS,
        ...(from !== undefined && { from }),
      })
    } catch (error) {
      if (error instanceof NetError) return { kind: 'failed', error }
      throw error
    }
    const source = formatAddress(client.local)
    try {
      for (let waitedMs = 0; waitedMs < ARRIVE_MS; waitedMs += POLL_MS) {
        const arrival = this.#arrivals.find(({ connection }) => formatAddress(connection.remote) === source)
        if (arrival !== undefined) {
          const { post, connection } = arrival
          return { kind: 'arrived', post, original: connection.originalDestination }
        }
        await delay(POLL_MS)
      }
      return { kind: 'elsewhere' }
    } finally {
      client.abort()
      for (const { connection } of this.#arrivals.splice(0)) connection.abort()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#listeners.values(), (listener) => listener.close()))
  }

  async #listen(post: Post, address: Address): Promise<void> {
    const accept = (connection: Connection): void => void this.#arrivals.push({ post, connection })
    this.#listeners.set(post, await this.#transport.listen(address, accept, { isRedirected: true }))
  }
}
