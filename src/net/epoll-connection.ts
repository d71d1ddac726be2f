import { formatAddress, type Address } from '../config/address.ts'
import { Readiness } from '../native/epoll.ts'
import { EAGAIN, ECONNRESET, EINTR, systemError, type Socket } from '../native/socket.ts'
import type { EpollLoop, Watcher } from './epoll-loop.ts'
import { netError, type NetError } from './errors.ts'
import type { Connection, ConnectionHandlers } from './transport.ts'
import { WriteQueue } from './write-queue.ts'

/** What is known of a connection from the start. */
export interface Endpoints {
  readonly local: Address
  readonly remote: Address
  readonly originalDestination?: Address | undefined
}

/** {@link EpollConnection} is not watched at all. */
const UNWATCHED = -1

/**
 * A {@link Connection} on a native socket.
 *
 * It reads once for each event, so that everyone gets a turn, and writes at once; only what the kernel does not take is kept.
 * The end of the peer's half shows as a read of nothing, so EPOLLRDHUP is not asked for.
 */
export class EpollConnection implements Connection, Watcher {
  readonly local: Address
  readonly remote: Address
  readonly originalDestination: Address | undefined
  readonly #loop: EpollLoop
  readonly #socket: Socket
  readonly #released: () => void
  #handlers: ConnectionHandlers | undefined
  /** What the loop watches for; it may be more than is wanted, until an event shows it. */
  #watching = UNWATCHED
  #queue: WriteQueue | undefined
  #isPaused = false
  #owesDrain = false
  #isEnding = false
  #hasEnded = false
  #peerEnded = false
  #isClosed = false
  #error: NetError | undefined

  /** @param released called once, when the connection closes */
  constructor(loop: EpollLoop, socket: Socket, endpoints: Endpoints, released: () => void = () => {}) {
    this.#loop = loop
    this.#socket = socket
    this.#released = released
    this.local = endpoints.local
    this.remote = endpoints.remote
    this.originalDestination = endpoints.originalDestination
  }

  attach(handlers: ConnectionHandlers): void {
    this.#handlers = handlers
    if (this.#isClosed) process.nextTick(() => handlers.closed(this.#error))
    else this.#watch()
  }

  write(bytes: Uint8Array, ownership: 'lent' | 'given' = 'lent'): boolean {
    if (this.#isClosed || this.#isEnding || bytes.length === 0) return true
    if (this.#queue !== undefined) {
      this.#queue.push(bytes, ownership === 'given')
      return this.#full()
    }
    const sent = this.#socket.send(bytes)
    if (sent === bytes.length) return true
    if (sent < 0 && sent !== EAGAIN && sent !== EINTR) {
      this.#fail(sent)
      return true
    }
    this.#queue = new WriteQueue()
    this.#queue.push(sent > 0 ? bytes.subarray(sent) : bytes, ownership === 'given')
    this.#watch()
    return this.#full()
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    if (!this.#isClosed && this.#handlers !== undefined) this.#watch()
  }

  end(): void {
    if (this.#isClosed || this.#isEnding) return
    this.#isEnding = true
    if (this.#queue === undefined) this.#endWriting()
  }

  abort(): void {
    if (!this.#isClosed) this.#close(undefined, 'reset')
  }

  ready(readiness: number): void {
    if ((readiness & Readiness.writable) !== 0) this.#flush()
    if (this.#isClosed || (readiness & ~Readiness.writable) === 0) return
    if (this.#wantsToRead) this.#read()
    else if ((readiness & (Readiness.error | Readiness.hangUp)) !== 0) this.#hungUp()
    else this.#watch()
  }

  get #wantsToRead(): boolean {
    return this.#handlers !== undefined && !this.#isPaused && !this.#peerEnded
  }

  /** The kernel holds far more than we should: whoever writes more than it takes had better wait. */
  #full(): false {
    this.#owesDrain = true
    return false
  }

  #read(): void {
    const received = this.#socket.receive(this.#loop.buffer)
    if (received > 0) {
      this.#handlers!.data(this.#loop.received(received))
    } else if (received === 0) {
      this.#peerEnded = true
      this.#watch()
      this.#handlers!.end()
      if (this.#hasEnded && !this.#isClosed) this.#close(undefined, 'close')
    } else if (received !== EAGAIN && received !== EINTR) {
      this.#fail(received)
    }
  }

  #flush(): void {
    const queue = this.#queue
    if (queue === undefined) {
      this.#watch()
      return
    }
    while (queue.length > 0) {
      const front = queue.front()
      const sent = this.#socket.send(front)
      if (sent < 0) {
        if (sent !== EAGAIN && sent !== EINTR) this.#fail(sent)
        return
      }
      queue.consume(sent)
      if (sent < front.length) return
    }
    this.#queue = undefined
    this.#watch()
    if (this.#isEnding) this.#endWriting()
    if (!this.#owesDrain || this.#isClosed) return
    this.#owesDrain = false
    this.#handlers?.drain()
  }

  /** The connection is broken while nobody reads from it, and the kernel does not stop saying so. */
  #hungUp(): void {
    if (this.#queue !== undefined) {
      this.#flush()
    } else if (this.#peerEnded) {
      this.#fail(this.#socket.takeError())
    } else {
      // What came before can still be read, and the error after it, when somebody resumes.
      this.#loop.remove(this.#socket.fd)
      this.#watching = UNWATCHED
    }
  }

  #endWriting(): void {
    this.#hasEnded = true
    // It fails when the connection is broken, which reading tells better.
    this.#socket.endWriting()
    if (this.#peerEnded) this.#close(undefined, 'close')
  }

  /** Watches for what is wanted now. */
  #watch(): void {
    const wanted =
      (this.#wantsToRead ? Readiness.readable : 0) | (this.#queue === undefined ? 0 : Readiness.writable)
    if (wanted === this.#watching) return
    const { fd } = this.#socket
    const result =
      this.#watching === UNWATCHED ? this.#loop.add(fd, this, wanted) : this.#loop.change(fd, wanted)
    if (result < 0) this.#fail(result)
    else this.#watching = wanted
  }

  /** @param errno negative; 0 when the kernel has told it already, which it does for resets only */
  #fail(errno: number): void {
    if (this.#isClosed) return
    const thrown = systemError('epoll', errno === 0 ? ECONNRESET : errno)
    this.#close(netError(`Connection with ${formatAddress(this.remote)}`, thrown), 'reset')
  }

  /** The one way to the end; whoever is attached learns it after the call that caused it. */
  #close(error: NetError | undefined, how: 'close' | 'reset'): void {
    this.#isClosed = true
    this.#error = error
    if (this.#watching !== UNWATCHED) this.#loop.forget(this.#socket.fd)
    if (how === 'close') this.#socket.close()
    else this.#socket.reset()
    this.#queue?.clear()
    this.#queue = undefined
    this.#released()
    process.nextTick(() => this.#handlers?.closed(error))
  }
}
