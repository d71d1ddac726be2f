import { lookup } from 'node:dns/promises'
import { constants } from 'node:os'
import { formatAddress, isIpAddress, type Address } from '../config/address.ts'
import { Readiness } from '../native/epoll.ts'
import { Family } from '../native/socket-address.ts'
import {
  BIND_ADDRESS_NO_PORT,
  EINPROGRESS,
  KEEP_ALIVE,
  KEEP_ALIVE_IDLE,
  NO_DELAY,
  Socket,
  systemError,
} from '../native/socket.ts'
import { EpollConnection } from './epoll-connection.ts'
import type { EpollLoop } from './epoll-loop.ts'
import { netError, NetError } from './errors.ts'
import { KEEP_ALIVE_MS } from './tcp.ts'
import type { Connection, ConnectOptions } from './transport.ts'

/** How long one of several addresses of a name may take before the next is tried. */
const ATTEMPT_MS = 1_000

const ETIMEDOUT = -constants.errno.ETIMEDOUT
const ECANCELED = -constants.errno.ECANCELED

/**
 * Connects by a native socket, to the first address of the host that answers.
 *
 * @throws NetError NET_CONNECTION_REFUSED, NET_TIMEOUT and others
 */
export async function connectByEpoll(
  loop: EpollLoop,
  address: Address,
  { timeoutMs, signal, from }: ConnectOptions,
): Promise<Connection> {
  const doing = `Connect to ${formatAddress(address)}`
  const cancelled = (): NetError => new NetError('NET_CANCELLED', `${doing}: Called off`)
  if (signal?.aborted === true) throw cancelled()

  const attempt = new Attempt(loop, doing, { address, from })
  const gaveUp = Promise.withResolvers<never>()
  const giveUp = (error: NetError): void => {
    attempt.cancel()
    gaveUp.reject(error)
  }
  const onAbort = (): void => giveUp(cancelled())
  const timer = setTimeout(
    () => giveUp(new NetError('NET_TIMEOUT', `${doing}: No answer within ${timeoutMs} ms`)),
    timeoutMs,
  )
  signal?.addEventListener('abort', onAbort)
  try {
    return await Promise.race([attempt.run(), gaveUp.promise])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}

/** One call of {@link connectByEpoll}. */
class Attempt {
  readonly #loop: EpollLoop
  readonly #doing: string
  readonly #address: Address
  readonly #from: string | undefined
  #isCancelled = false
  /** Ends what is being tried now. */
  #stop: (() => void) | undefined

  constructor(
    loop: EpollLoop,
    doing: string,
    { address, from }: { readonly address: Address; readonly from: string | undefined },
  ) {
    this.#loop = loop
    this.#doing = doing
    this.#address = address
    this.#from = from
  }

  /** Settles never after {@link cancel}, or nobody cares. */
  async run(): Promise<Connection> {
    const candidates = await this.#resolve()
    let failure: unknown
    for (const [index, candidate] of candidates.entries()) {
      const isLast = index === candidates.length - 1
      try {
        return await this.#tryOne(candidate, isLast ? undefined : ATTEMPT_MS)
      } catch (error) {
        if (this.#isCancelled) throw error
        failure = error
      }
    }
    throw failure
  }

  cancel(): void {
    this.#isCancelled = true
    this.#stop?.()
  }

  async #resolve(): Promise<readonly Address[]> {
    if (isIpAddress(this.#address)) return [this.#address]
    try {
      const found = await lookup(this.#address.host, { all: true })
      return found.map(({ address }) => ({ host: address, port: this.#address.port }))
    } catch (error) {
      throw this.#failure(error)
    }
  }

  #tryOne(to: Address, limitMs: number | undefined): Promise<Connection> {
    if (this.#isCancelled) return Promise.reject(new Error('Called off'))
    const socket = Socket.open(this.#loop.system, to.host.includes(':') ? Family.ipv6 : Family.ipv4)
    if (typeof socket === 'number') return Promise.reject(this.#failure(systemError('socket', socket)))
    // A socket without them works too.
    socket.set(NO_DELAY, 1)
    socket.set(KEEP_ALIVE, 1)
    socket.set(KEEP_ALIVE_IDLE, KEEP_ALIVE_MS / 1000)
    if (this.#from !== undefined) {
      socket.set(BIND_ADDRESS_NO_PORT, 1)
      const bound = socket.bind({ host: this.#from, port: 0 })
      if (bound < 0) {
        socket.close()
        return Promise.reject(this.#failure(systemError('bind', bound)))
      }
    }
    const result = socket.connect(to)
    if (result === 0) return Promise.resolve(this.#connected(socket, to))
    if (result !== EINPROGRESS) {
      socket.close()
      return Promise.reject(this.#failure(systemError('connect', result)))
    }
    return this.#answer(socket, to, limitMs)
  }

  /** Waits for the other side. */
  #answer(socket: Socket, to: Address, limitMs: number | undefined): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const loop = this.#loop
      const watching = loop.add(
        socket.fd,
        {
          ready: () => {
            const error = socket.takeError()
            if (error < 0) {
              fail(systemError('connect', error))
              return
            }
            settle()
            loop.remove(socket.fd)
            resolve(this.#connected(socket, to))
          },
        },
        Readiness.writable,
      )
      if (watching < 0) {
        socket.close()
        reject(this.#failure(systemError('epoll_ctl', watching)))
        return
      }
      const timer =
        limitMs === undefined ? undefined : setTimeout(() => fail(systemError('connect', ETIMEDOUT)), limitMs)
      this.#stop = () => fail(systemError('connect', ECANCELED))

      const fail = (thrown: Error): void => {
        settle()
        loop.forget(socket.fd)
        socket.close()
        reject(this.#failure(thrown))
      }
      const settle = (): void => {
        clearTimeout(timer)
        this.#stop = undefined
      }
    })
  }

  #connected(socket: Socket, remote: Address): Connection {
    const local = socket.localAddress() ?? { host: '', port: 0 }
    return new EpollConnection(this.#loop, socket, { local, remote })
  }

  #failure(thrown: unknown): NetError {
    return netError(this.#doing, thrown, this.#address)
  }
}
