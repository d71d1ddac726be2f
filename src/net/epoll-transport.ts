import type { NativeSockets } from '../native/sockets.ts'
import { connectByEpoll } from './epoll-connect.ts'
import { listenByEpoll } from './epoll-listener.ts'
import { EpollLoop } from './epoll-loop.ts'
import { netError } from './errors.ts'
import type { Transport } from './transport.ts'

/**
 * The transport on Linux's own sockets and epoll, without Node's streams. A thread needs one; each has a receive buffer.
 *
 * @throws NetError NET_DESCRIPTORS_EXHAUSTED
 */
export function epollTransport(sockets: NativeSockets): Transport {
  const loop = openLoop(sockets)
  return {
    name: 'epoll',
    // Async, so that what they throw is a rejection.
    listen: async (address, accept, options = {}) => listenByEpoll(loop, address, accept, options),
    connect: (address, options) => connectByEpoll(loop, address, options),
    [Symbol.dispose]: () => loop[Symbol.dispose](),
  }
}

function openLoop(sockets: NativeSockets): EpollLoop {
  try {
    return new EpollLoop(sockets)
  } catch (error) {
    throw netError('Watch connections', error)
  }
}
