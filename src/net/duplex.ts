import { Duplex } from 'node:stream'
import type { Connection } from './transport.ts'

/**
 * A connection as a stream of Node's, with what node:http, node:http2 and grpc-js expect of a socket beside it.
 *
 * Halves end independently. `end` ends ours cleanly; `destroy` before both have ended aborts the connection, so that the other
 * side never takes a cut stream for a whole one. Errors are passed on as they are.
 */
export class ConnectionDuplex extends Duplex {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
  /** What node:http asks of a socket: by the time there is a connection it is connected. */
  readonly connecting: boolean = false
  /** What `setTimeout` was last given, in milliseconds; 0 is none. */
  timeout = 0
  readonly #connection: Connection
  #idleTimer: NodeJS.Timeout | undefined
  #written: (() => void) | undefined
  #closed = false

  constructor(connection: Connection) {
    super({ allowHalfOpen: true, autoDestroy: true, emitClose: true })
    this.#connection = connection
    this.remoteAddress = connection.remote.host
    this.remotePort = connection.remote.port
    this.localAddress = connection.local.host
    this.localPort = connection.local.port
    // Only reading starts the flow: whoever gets the stream first decides when.
    connection.pause()
    connection.attach({
      data: (bytes) => {
        this.#active()
        if (!this.push(Buffer.from(bytes))) connection.pause()
      },
      end: () => {
        this.push(null)
      },
      drain: () => this.#release(),
      closed: (error) => {
        this.#closed = true
        if (error !== undefined) this.destroy(error)
        else if (!this.readableEnded && !this.writableFinished) this.destroy()
        else this.#release()
      },
    })
  }

  /** Emits `timeout` after this long without traffic; 0 never. The stream goes on until someone destroys it. */
  setTimeout(timeoutMs: number, listener?: () => void): this {
    this.timeout = timeoutMs
    clearTimeout(this.#idleTimer)
    this.#idleTimer = timeoutMs > 0 ? setTimeout(() => this.emit('timeout'), timeoutMs).unref() : undefined
    if (listener !== undefined) {
      if (timeoutMs > 0) this.once('timeout', listener)
      else this.removeListener('timeout', listener)
    }
    return this
  }

  /** Here for callers that treat this as a socket; connections always send without delay. */
  setNoDelay(): this {
    return this
  }

  /** Here for callers that treat this as a socket; TCP probes are the transport's affair. */
  setKeepAlive(): this {
    return this
  }

  /** Here for callers that treat this as a socket. */
  ref(): this {
    return this
  }

  /** Here for callers that treat this as a socket. */
  unref(): this {
    return this
  }

  override _read(): void {
    this.#connection.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#active()
    if (this.#connection.write(chunk, 'given') || this.#closed) done()
    else this.#written = done
  }

  /** A head and its body leave as one write, and so as one record. */
  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: () => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'utf8', done)
  }

  override _final(done: () => void): void {
    this.#connection.end()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#idleTimer)
    this.#idleTimer = undefined
    // After both halves have ended the connection closes by itself, and its last bytes must not be cut off.
    if (!this.#closed && !(this.readableEnded && this.writableFinished)) this.#connection.abort()
    this.#release()
    done(error)
  }

  #release(): void {
    const done = this.#written
    this.#written = undefined
    done?.()
  }

  #active(): void {
    if (this.#idleTimer !== undefined) this.#idleTimer.refresh()
  }
}
