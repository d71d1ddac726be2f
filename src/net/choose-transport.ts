import { loadSockets, type SocketsProbe } from '../native/sockets.ts'
import type { TransportChoice } from '../config/proxy-config.ts'
import { epollTransport } from './epoll-transport.ts'
import { NetError } from './errors.ts'
import { nodeTransport } from './node-transport.ts'
import type { Transport } from './transport.ts'

export interface ChooseOptions {
  /** Told why `auto` has become `node`. */
  readonly onFallback: (reason: string) => void
  /** @default loadSockets */
  readonly probe?: () => SocketsProbe
}

/**
 * The transport for this thread: each thread needs its own.
 *
 * @throws NetError NET_TRANSPORT_MISSING when `epoll` is insisted on where it cannot be had
 */
export function chooseTransport(
  choice: TransportChoice,
  { onFallback, probe = loadSockets }: ChooseOptions,
): Transport {
  if (choice === 'node') return nodeTransport
  const found = probe()
  if (found.kind === 'available') return epollTransport(found.sockets)
  if (choice === 'epoll')
    throw new NetError('NET_TRANSPORT_MISSING', `The transport epoll cannot be used: ${found.reason}`)
  onFallback(found.reason)
  return nodeTransport
}
