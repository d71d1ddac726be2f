import { constants } from 'node:os'
import { formatAddress, type Address } from '../config/address.ts'
import { Readiness } from '../native/epoll.ts'
import { Family } from '../native/socket-address.ts'
import {
  acceptedFrom,
  EAGAIN,
  KEEP_ALIVE,
  KEEP_ALIVE_IDLE,
  NO_DELAY,
  REUSE_ADDRESS,
  REUSE_PORT,
  Socket,
  systemError,
  V6_ONLY,
  type SocketOption,
} from '../native/socket.ts'
import { EpollConnection } from './epoll-connection.ts'
import type { EpollLoop, Watcher } from './epoll-loop.ts'
import { netError, NetError } from './errors.ts'
import { BACKLOG, KEEP_ALIVE_MS } from './tcp.ts'
import { DEFAULT_MAX_CONNECTIONS, type Connection, type Listener, type ListenOptions } from './transport.ts'

/** Connections accepted in one turn: a flood of them must not starve those that are open. */
const ACCEPTS_PER_TURN = 16

/** How long to leave connections in the backlog when there is no descriptor for them. */
const EXHAUSTED_PAUSE_MS = 100

/** What ends an attempt to accept, but is the business of that one connection only (accept(2)). */
const OF_ONE_CONNECTION: ReadonlySet<number> = new Set([
  -constants.errno.EINTR,
  -constants.errno.ECONNABORTED,
  -constants.errno.EPROTO,
  -constants.errno.ENETDOWN,
  -constants.errno.EHOSTUNREACH,
  -constants.errno.ENETUNREACH,
])

/**
 * Listens on a native socket.
 *
 * @throws NetError NET_ADDRESS_IN_USE and others
 */
export function listenByEpoll(
  loop: EpollLoop,
  address: Address,
  accept: (connection: Connection) => void,
  options: ListenOptions,
): Listener {
  const doing = `Listen on ${formatAddress(address)}`
  const socket = open(loop, address, doing)
  try {
    const isV6 = address.host.includes(':')
    set(REUSE_ADDRESS, 1)
    if (isV6) set(V6_ONLY, 0)
    if (options.sharesPort === true) set(REUSE_PORT, 1)
    // Accepted sockets inherit these (tcp(7) on Linux).
    set(NO_DELAY, 1)
    set(KEEP_ALIVE, 1)
    set(KEEP_ALIVE_IDLE, KEEP_ALIVE_MS / 1000)
    check('bind', socket.bind(address))
    check('listen', socket.listen(BACKLOG))
    const listener = new EpollListener(loop, socket, {
      address: socket.localAddress() ?? address,
      accept,
      doing,
      options,
    })
    check('epoll_ctl', listener.start())
    return listener
  } catch (error) {
    socket.close()
    throw error
  }

  function set(option: SocketOption, value: number): void {
    check('setsockopt', socket.set(option, value))
  }
  function check(call: string, result: number): void {
    if (result < 0) throw netError(doing, systemError(call, result), address)
  }
}

function open(loop: EpollLoop, address: Address, doing: string): Socket {
  const socket = Socket.open(loop.system, address.host.includes(':') ? Family.ipv6 : Family.ipv4)
  if (typeof socket === 'number') throw netError(doing, systemError('socket', socket), address)
  return socket
}

interface ListenerParts {
  readonly address: Address
  readonly accept: (connection: Connection) => void
  /** Begins the messages of errors. */
  readonly doing: string
  readonly options: ListenOptions
}

class EpollListener implements Listener, Watcher {
  readonly address: Address
  open = 0
  refused = 0
  readonly #loop: EpollLoop
  readonly #socket: Socket
  readonly #parts: ListenerParts
  readonly #maxConnections: number
  /** Undefined when connections have different local addresses: the kernel is asked then. */
  readonly #local: Address | undefined
  #hasReported = false
  #retry: NodeJS.Timeout | undefined

  constructor(loop: EpollLoop, socket: Socket, parts: ListenerParts) {
    this.#loop = loop
    this.#socket = socket
    this.#parts = parts
    this.#maxConnections = parts.options.maxConnections ?? DEFAULT_MAX_CONNECTIONS
    this.address = parts.address
    this.#local = ['0.0.0.0', '::'].includes(parts.address.host) ? undefined : parts.address
  }

  start(): number {
    return this.#loop.add(this.#socket.fd, this, Readiness.readable)
  }

  ready(): void {
    for (let i = 0; i < ACCEPTS_PER_TURN && !this.#socket.isClosed; i++) {
      const accepted = this.#socket.accept()
      if (typeof accepted !== 'number') this.#take(accepted)
      else if (accepted === EAGAIN) return
      else if (!OF_ONE_CONNECTION.has(accepted)) {
        this.#exhausted(accepted)
        return
      }
    }
  }

  close(): Promise<void> {
    clearTimeout(this.#retry)
    if (!this.#socket.isClosed) {
      this.#loop.forget(this.#socket.fd)
      this.#socket.close()
    }
    return Promise.resolve()
  }

  #take(socket: Socket): void {
    const remote = acceptedFrom()
    const local = this.#local ?? socket.localAddress()
    if (remote === undefined || local === undefined) {
      // Gone already.
      socket.close()
      return
    }
    if (this.open >= this.#maxConnections) {
      this.refused++
      socket.reset()
      this.#report(
        new NetError(
          'NET_CONNECTION_LIMIT',
          `${this.#parts.doing}: ${this.#maxConnections} connections are open, the limit`,
        ),
      )
      return
    }
    this.#hasReported = false
    this.open++
    const originalDestination =
      this.#parts.options.isRedirected === true
        ? socket.originalDestination(local.host.includes(':'))
        : undefined
    const endpoints = { local, remote, originalDestination }
    this.#parts.accept(new EpollConnection(this.#loop, socket, endpoints, this.#released))
  }

  readonly #released = (): void => {
    this.open--
  }

  /** There is no descriptor or no memory for a connection that waits, and epoll would not stop saying that it does. */
  #exhausted(errno: number): void {
    this.#loop.change(this.#socket.fd, 0)
    this.#retry = setTimeout(() => {
      this.#loop.change(this.#socket.fd, Readiness.readable)
    }, EXHAUSTED_PAUSE_MS)
    this.#report(netError(this.#parts.doing, systemError('accept4', errno)))
  }

  #report(error: NetError): void {
    if (this.#hasReported) return
    this.#hasReported = true
    this.#parts.options.onError?.(error)
  }
}
