import { isPermit, type Permit } from '../authz/decide.ts'
import type { HandfastError } from '../errors.ts'
import type { Connection, ConnectionHandlers } from '../net/transport.ts'
import { PassThrough } from './capture/pass-through.ts'
import { ProxyError } from './errors.ts'
import { ProvenPeer } from './proven-peer.ts'

/** What entitles bytes to move: policy's leave for a client of ours, proof of the server we asked for, or that it is outside the mesh. */
export type Warrant = Permit | ProvenPeer | PassThrough

export interface PumpResult {
  readonly requestBytes: number
  readonly responseBytes: number
  /** Absent when both halves ended cleanly. */
  readonly error?: HandfastError
}

/**
 * Carries bytes both ways until both connections have closed. Ends travel as ends and failures as failures: when one side breaks, the
 * other is aborted, so that nobody takes a part for the whole. A side that does not read slows the other down.
 *
 * @param client who asked; `server` is who answers
 * @throws ProxyError PROXY_UNPROVEN_PEER when the warrant is not genuine; both connections are aborted then
 */
export async function pump(warrant: Warrant, client: Connection, server: Connection): Promise<PumpResult> {
  if (!isPermit(warrant) && !ProvenPeer.is(warrant) && !PassThrough.is(warrant)) {
    client.abort()
    server.abort()
    throw new ProxyError(
      'PROXY_UNPROVEN_PEER',
      'The pump was given neither a permit nor a proven peer nor leave to pass through',
    )
  }
  const requests = new Direction(client, server)
  const responses = new Direction(server, client)
  await Promise.all([requests.done, responses.done])
  const error = requests.error ?? responses.error
  return {
    requestBytes: requests.bytes,
    responseBytes: responses.bytes,
    ...(error !== undefined && { error }),
  }
}

/** What comes out of `from` goes into `to`. */
class Direction implements ConnectionHandlers {
  readonly #from: Connection
  readonly #to: Connection
  readonly #closed: () => void
  /** Resolves when `from` has closed. */
  readonly done: Promise<void>
  bytes = 0
  error: HandfastError | undefined

  constructor(from: Connection, to: Connection) {
    this.#from = from
    this.#to = to
    const { promise, resolve } = Promise.withResolvers<void>()
    this.done = promise
    this.#closed = resolve
    from.attach(this)
  }

  data(chunk: Uint8Array): void {
    this.bytes += chunk.length
    if (!this.#to.write(chunk)) this.#from.pause()
  }

  end(): void {
    this.#to.end()
  }

  /** What `from` can take again comes out of `to`. */
  drain(): void {
    this.#to.resume()
  }

  closed(error?: HandfastError): void {
    this.error = error
    if (error !== undefined) this.#to.abort()
    this.#closed()
  }
}
